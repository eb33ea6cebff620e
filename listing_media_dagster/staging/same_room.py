"""Which photos show the same room, so that it is furnished with the same pieces in each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Photo, fingerprint

VERSION = "1"

_LONG_EDGE = 900
_FEATURES = 2500
_DISTINCT = 0.8  # a match counts if the next best one is a quarter farther away, both ways
# Views of one room 25 degrees apart share 13 to 20 consistent details, photos of different homes at most 8 (25 photos,
# all pairs). Rooms of one home share up to 22 through their windows; most of those are told apart by their floors. A
# wrong join costs variety, not truth: two rooms get the same sofa.
_SAME_FROM = 12
_FLOOR_LIGHTNESS, _FLOOR_COLOUR = 15.0, 7.0  # CIELAB

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Looks:
    """What of a photo can be found again in another: N features at `points` (N, 2) px, the lower edge's colour."""

    points: Floats
    descriptors: Floats
    floor_lab: Floats


def group_same_rooms(
    photos: Sequence[Photo], named_together: Iterable[Iterable[str]], look_alike: Callable[[Photo, Photo], bool]
) -> dict[str, str]:
    """Return for each photo id the id of the first photo of its room.

    Photos belong together if `named_together` (of listing.yaml) says so or the photographer named their files after
    the same room ('living-room-1.jpg', 'living-room-2.jpg'). Only photos whose files name no room are looked at.
    """
    groups = _Groups([photo.photo_id for photo in photos])
    together = [frozenset(names) for names in named_together]
    decided = {photo.photo_id for photo in photos if any(photo.names & names for names in together)}
    for names in together:
        groups.join_all(photo.photo_id for photo in photos if photo.names & names)
    free = [photo for photo in photos if photo.photo_id not in decided]
    by_name: dict[str, list[str]] = {}
    for photo in free:
        if name := room_name(photo):
            by_name.setdefault(name, []).append(photo.photo_id)
    for members in by_name.values():
        groups.join_all(members)
    for first, second in combinations([photo for photo in free if not room_name(photo)], 2):
        if not groups.joined(first.photo_id, second.photo_id) and look_alike(first, second):
            groups.join_all([first.photo_id, second.photo_id])
    return groups.first_of


def pieces_seed_of(room: str) -> int:
    """Return the seed that chooses a room's furniture, from what tells the room from all others."""
    return int(fingerprint(room=room)[:7], 16)


def room_name(photo: Photo) -> str | None:
    """Return what the photographer calls the room, without the number of the view; None if the file doesn't say.

    'bedroom-2-1' and 'bedroom 2b' are views of bedroom 2; 'bedroom-1' and 'bedroom-2' may be two bedrooms, so a lone
    number stays part of the name unless a home has only one of the kind.
    """
    if photo.room.decided_by not in ("file name", "listing.yaml"):
        return None
    stem = photo.sources[0].name.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()
    words = [word for word in re.findall(r"[a-z]+|\d+", stem) if not re.fullmatch(r"img|dsc\w?|photo|view|angle", word)]
    words = _without_index(words)
    if len(words) > 1 and _is_view(words[-1]) and (_one_of_a_kind(photo) or words[-2].isdigit()):
        words = words[:-1]
    return " ".join(words) or None


def _without_index(words: list[str]) -> list[str]:
    """Drop the running number many photographers put first: '07-living-room'."""
    return words[1:] if len(words) > 1 and words[0].isdigit() else words


def _is_view(word: str) -> bool:
    return word.isdigit() or len(word) == 1


def _one_of_a_kind(photo: Photo) -> bool:
    return "bedroom" not in photo.room.type and "bathroom" not in photo.room.type


def looks_of(rgb: NDArray[np.uint8]) -> Looks:
    """Return what can be recognised of `rgb`, uint8 (H, W, 3) sRGB."""
    scale = min(1.0, _LONG_EDGE / max(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    finder = cv2.SIFT.create(nfeatures=_FEATURES, contrastThreshold=0.02)
    keypoints, found = finder.detectAndCompute(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), None)
    points = np.array([point.pt for point in keypoints], np.float32).reshape(-1, 2)
    descriptors = np.zeros((0, 128), np.float32) if found is None else np.asarray(found, np.float32)
    # RootSIFT (Arandjelović and Zisserman 2012): Hellinger distance tells repeated joinery apart better.
    descriptors = np.sqrt(descriptors / (descriptors.sum(1, keepdims=True) + 1e-6))
    lab = cv2.cvtColor(
        cv2.resize(small, (64, 48), interpolation=cv2.INTER_AREA).astype(np.float32) / 255, cv2.COLOR_RGB2LAB
    )
    return Looks(points, descriptors, np.median(lab[38:].reshape(-1, 3), axis=0).astype(np.float32))


def show_the_same_room(first: Looks, second: Looks) -> bool:
    """Say whether two photos share enough details that lie as two views of one thing would, over the same floor."""
    lightness, *colour = np.abs(first.floor_lab - second.floor_lab)
    if lightness > _FLOOR_LIGHTNESS or np.hypot(*colour) > _FLOOR_COLOUR:
        return False
    if min(len(first.points), len(second.points)) < _SAME_FROM:
        return False
    likeness = first.descriptors @ second.descriptors.T
    there, sure_there = _best(likeness)
    here, sure_here = _best(likeness.T)
    mutual = [i for i, j in enumerate(there) if sure_there[i] and sure_here[j] and here[j] == i]
    if len(mutual) < _SAME_FROM:
        return False
    _, consistent = cv2.findFundamentalMat(
        first.points[mutual], second.points[there[mutual]], cv2.USAC_MAGSAC, 1.5, 0.999, 5000
    )
    return consistent is not None and int(consistent.sum()) >= _SAME_FROM


def _best(likeness: Floats) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return for each row its best column, and whether it is clearly better than the second best."""
    order = np.argpartition(-likeness, 1, axis=1)[:, :2]
    top = np.take_along_axis(likeness, order, 1)
    first = np.where(top[:, 0] >= top[:, 1], 0, 1)
    distance = np.sqrt(np.maximum(2 - 2 * top, 0))
    rows = np.arange(len(likeness))
    return order[rows, first], distance[rows, first] < _DISTINCT * distance[rows, 1 - first]


class _Groups:
    """Joined sets, each named after its first member."""

    def __init__(self, members: Sequence[str]) -> None:
        self.order = {member: place for place, member in enumerate(members)}
        self.first_of = {member: member for member in members}

    def joined(self, first: str, second: str) -> bool:
        return self.first_of[first] == self.first_of[second]

    def join_all(self, members: Iterable[str]) -> None:
        names = {self.first_of[member] for member in members}
        if len(names) > 1:
            leader = min(names, key=self.order.__getitem__)
            self.first_of = {member: leader if first in names else first for member, first in self.first_of.items()}
