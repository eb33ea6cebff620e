"""Which delivered files show a picture that was delivered already: the same file, or the same frame saved again."""

from __future__ import annotations

from collections.abc import Mapping

from listing_media_dagster.photo.metadata import PhotoFacts
from listing_media_dagster.photo.similarity import compare, likely_pairs

_SAME_PROPORTIONS = 0.01
_LEAST_RANGE = 12.0  # of 255: a blank frame resembles every other
_LEAST_STRUCTURE = 0.96
_LEAST_ORDER = 0.97
_MOST_EV = 0.5
_MOST_RESIDUAL = 14.0
_ANOTHER_EXPOSURE_EV = 0.25  # a third of a stop is the smallest step of a bracket


def find_duplicates(facts: Mapping[str, PhotoFacts], sha256: Mapping[str, str]) -> dict[str, str]:
    """Return photo id -> id of the photo it repeats, never a chain.

    Exact: equal digests; the first in `facts` is kept. Near: the same frame re-encoded, resized or slightly
    brightened; the one with more pixels is kept, then the one that knows its capture time, then the first. Frames the
    camera exposed differently are never duplicates, nor are frames in which something moved.
    """
    kept: dict[str, str] = {}
    duplicates: dict[str, str] = {}
    for photo_id in facts:
        first = kept.setdefault(sha256[photo_id], photo_id)
        if first != photo_id:
            duplicates[photo_id] = first

    position = {photo_id: at for at, photo_id in enumerate(facts)}

    def rank(photo_id: str) -> tuple[int, bool, int]:
        fact = facts[photo_id]
        return (-fact.width * fact.height, fact.captured_at is None, position[photo_id])

    unique = sorted((photo_id for photo_id in facts if photo_id not in duplicates), key=rank)
    near: dict[str, str] = {}
    for better, other in likely_pairs([facts[photo_id].signature for photo_id in unique]):
        keep, drop = unique[better], unique[other]
        if keep not in near and drop not in near and is_near_duplicate(facts[keep], facts[drop]):
            near[drop] = keep
    return {photo_id: near.get(twin, twin) for photo_id, twin in (duplicates | near).items()}


def is_near_duplicate(first: PhotoFacts, second: PhotoFacts) -> bool:
    """Return whether both are the same frame, saved differently."""
    if abs(first.width * second.height / (first.height * second.width) - 1) > _SAME_PROPORTIONS:
        return False
    exposures = [fact.exposure_ev for fact in (first, second) if fact.exposure_ev is not None]
    if len(exposures) == 2 and abs(exposures[0] - exposures[1]) > _ANOTHER_EXPOSURE_EV:
        return False
    if min(first.signature.range, second.signature.range) < _LEAST_RANGE:
        return False
    match = compare(first.signature, second.signature)
    return (
        match is not None
        and match.structure >= _LEAST_STRUCTURE
        and match.order >= _LEAST_ORDER
        and abs(match.ev) <= _MOST_EV
        and match.residual <= _MOST_RESIDUAL
    )
