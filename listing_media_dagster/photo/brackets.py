"""Which frames are one view taken at several exposures, to be merged into one photo.

Two kinds of evidence. With EXIF: the same camera and lens settings, one after the other, differently exposed, the same
view. Without: three or more frames of exactly the same view, stops apart. Anything else stays a single frame: a set
that isn't recognised costs a photographer a click, two rooms merged cost a photo.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import Field

from listing_media_dagster.listing import Noun
from listing_media_dagster.photo.metadata import PhotoFacts
from listing_media_dagster.photo.similarity import Match, compare, likely_pairs

_LONGEST_PAUSE_SECONDS = 15.0  # between frames; a hand that turns a dial needs that long
_SHORT_PAUSE_SECONDS = 3.0  # a camera that brackets by itself
_LEAST_STEP_EV = 0.25
_LEAST_RANGE_EV = 0.6
_LEAST_RANGE_OF_TWO_EV = 0.9
_SAME_VIEW = 0.6  # structure; with EXIF beside it
_EXACTLY_SAME_VIEW = 0.85  # structure; without
_ONE_TONE_CURVE = 0.9  # order; without EXIF
_LEAST_MEASURED_STEP_EV = 0.5
_MOST_MEASURED_STEP_EV = 4.6
_LEAST_MEASURED_RANGE_EV = 1.8
_LEAST_FRAMES_MEASURED = 3


class BracketSet(Noun):
    """Frames of one view, dark to bright. The reference is the middle one."""

    group: str
    ids: tuple[str, ...] = Field(min_length=2)
    exposures_ev: tuple[float, ...] = Field(description="EV relative to the reference, ascending")
    reference: str


def group_brackets(facts: Mapping[str, PhotoFacts]) -> list[BracketSet]:
    """Return the bracket sets among a listing's photos, in the order they were taken; every id is in one set at most.

    Give it no duplicates: a frame that is there twice starts a set of its own.
    """
    told = {
        photo_id: fact
        for photo_id, fact in facts.items()
        if fact.captured_at is not None and fact.exposure_ev is not None
    }
    rest = {photo_id: fact for photo_id, fact in facts.items() if photo_id not in told}
    return [*_told_by_exif(told), *_told_by_pixels(rest)]


def _told_by_exif(facts: Mapping[str, PhotoFacts]) -> list[BracketSet]:
    by_setting: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for photo_id in sorted(facts, key=lambda photo_id: (_taken_at(facts[photo_id]), _natural(photo_id))):
        fact = facts[photo_id]
        setting = (fact.camera, fact.lens, fact.f_number, fact.focal_length_mm, fact.width, fact.height)
        by_setting[setting].append(photo_id)
    found: list[list[str]] = []
    for ids in by_setting.values():
        current: list[str] = []
        for photo_id in ids:
            if current and not _continues([facts[member] for member in current], facts[photo_id]):
                found.append(current)
                current = []
            current.append(photo_id)
        found.append(current)
    sets = [_bracket_set(ids, [facts[photo_id].exposure_ev or 0.0 for photo_id in ids], facts) for ids in found]
    complete = [bracket for bracket in sets if bracket is not None]
    return sorted(complete, key=lambda bracket: min(_taken_at(facts[photo_id]) for photo_id in bracket.ids))


def _continues(members: Sequence[PhotoFacts], frame: PhotoFacts) -> bool:
    """Return whether `frame` is a further exposure of the view `members` show."""
    pause = (_taken_at(frame) - _taken_at(members[-1])).total_seconds() - (members[-1].exposure_seconds or 0.0)
    if pause > _LONGEST_PAUSE_SECONDS:
        return False
    steps = [(frame.exposure_ev or 0.0) - (member.exposure_ev or 0.0) for member in members]
    if min(map(abs, steps)) < _LEAST_STEP_EV:  # an exposure the set has already: the next set begins
        return False
    for at in sorted(range(len(members)), key=lambda at: abs(steps[at])):
        match = compare(members[at].signature, frame.signature)
        if match is not None:
            # The picture must have become brighter as the setting says, or the light has changed (or a flash fired).
            follows = match.ev * steps[at] > 0 and abs(match.ev) > 0.3 * abs(steps[at])
            return match.structure >= _SAME_VIEW and follows
    # All black or all white, so it shows no view at all: part of the set if the camera was still at it.
    return pause <= _SHORT_PAUSE_SECONDS and max(map(abs, steps)) >= _LEAST_RANGE_OF_TWO_EV


def _told_by_pixels(facts: Mapping[str, PhotoFacts]) -> list[BracketSet]:
    by_size: dict[tuple[int, int], list[str]] = defaultdict(list)
    for photo_id in sorted(facts, key=_natural):
        by_size[facts[photo_id].width, facts[photo_id].height].append(photo_id)
    sets = []
    for ids in by_size.values():
        links: dict[int, dict[int, Match]] = defaultdict(dict)
        for i, j in likely_pairs([facts[photo_id].signature for photo_id in ids]):
            match = compare(facts[ids[i]].signature, facts[ids[j]].signature)
            if match is not None and _is_exposure_step(match):
                links[i][j] = match
                links[j][i] = match
        for members in _connected(len(ids), links):
            exposures = _measured_exposures(members, links)
            bracket = _bracket_set([ids[at] for at in members], exposures, facts)
            if bracket is not None and _is_convincing(bracket):
                sets.append(bracket)
    return sets


def _is_exposure_step(match: Match) -> bool:
    return (
        match.structure >= _EXACTLY_SAME_VIEW
        and match.order >= _ONE_TONE_CURVE
        and _LEAST_MEASURED_STEP_EV <= abs(match.ev) <= _MOST_MEASURED_STEP_EV
    )


def _connected(count: int, links: Mapping[int, Mapping[int, Match]]) -> list[list[int]]:
    """Return the groups of frames that are linked, directly or through others."""
    seen: set[int] = set()
    groups = []
    for start in range(count):
        if start in seen or start not in links:
            continue
        group, front = [], [start]
        seen.add(start)
        while front:
            at = front.pop()
            group.append(at)
            fresh = [other for other in links[at] if other not in seen]
            seen.update(fresh)
            front += fresh
        groups.append(sorted(group))
    return groups


def _measured_exposures(members: Sequence[int], links: Mapping[int, Mapping[int, Match]]) -> list[float]:
    """Return how bright each member is, in EV relative to the first, along the most certain links."""
    exposure = {members[0]: 0.0}
    while len(exposure) < len(members):
        _sure, known, fresh = max(
            (match.structure, at, other)
            for at in exposure
            for other, match in links[at].items()
            if other not in exposure
        )
        step = links[known][fresh].ev  # of the later index against the earlier
        exposure[fresh] = exposure[known] + (step if known < fresh else -step)
    return [exposure[at] for at in members]


def _is_convincing(bracket: BracketSet) -> bool:
    steps = [after - before for before, after in zip(bracket.exposures_ev, bracket.exposures_ev[1:], strict=False)]
    return (
        len(bracket.ids) >= _LEAST_FRAMES_MEASURED
        and bracket.exposures_ev[-1] - bracket.exposures_ev[0] >= _LEAST_MEASURED_RANGE_EV
        and all(_LEAST_MEASURED_STEP_EV <= step <= _MOST_MEASURED_STEP_EV for step in steps)
    )


def _bracket_set(ids: Sequence[str], exposures: Sequence[float], facts: Mapping[str, PhotoFacts]) -> BracketSet | None:
    """Return the set of `ids` in order of exposure, or None if they are too few or too alike to be one."""
    order = sorted(range(len(ids)), key=lambda at: exposures[at])
    least = _LEAST_RANGE_OF_TWO_EV if len(ids) == 2 else _LEAST_RANGE_EV
    if len(ids) < 2 or exposures[order[-1]] - exposures[order[0]] < least:
        return None
    middles = order[(len(order) - 1) // 2 : len(order) // 2 + 1]
    reference = min(middles, key=lambda at: abs(facts[ids[at]].mean_luma - 0.45))
    return BracketSet(
        group=f"bracket-{ids[reference]}",
        ids=tuple(ids[at] for at in order),
        exposures_ev=tuple(round(exposures[at] - exposures[reference], 2) for at in order),
        reference=ids[reference],
    )


def _taken_at(fact: PhotoFacts) -> datetime:
    """Wall clock time: one camera either writes its offset on every frame or on none."""
    return (fact.captured_at or datetime.min).replace(tzinfo=None)


def _natural(photo_id: str) -> tuple[tuple[int, str], ...]:
    """Sort key in which img-9 comes before img-10."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", photo_id))
