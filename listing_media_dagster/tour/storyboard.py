"""What the film shows, in which order and for how long: pure decisions, no pixels.

The film is a chain of segments (a part of a title card or of a photo held, a dissolve between two neighbours), each
with a fingerprint of all that determines its frames. A segment whose fingerprint is known needn't be made again, so
every decision about a photo rests on that photo and, where neighbours clash, on those next to it; never on its number
or on how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from listing_media_dagster.listing import WALK_ORDER, RoomType, fingerprint
from listing_media_dagster.tour.camera import (
    CameraPath,
    Crop,
    Mat,
    Move,
    camera_path,
    fitting_moves,
    largest_crop,
    mat_for,
)

PICTURE_VERSION = "2"  # bump when the same storyboard gives other pixels or another encoding
PARALLAX_VERSION = "1"  # bump when the same nearness map gives other pixels
CLIP_VERSION = "1"  # bump when the same generated clip gives other pixels
DISSOLVE_SECONDS = 0.8  # between any two clips, from and to black as well: no photo changes by becoming the last
LONGEST_SEGMENT_SECONDS = 2.0  # an encoder sets a key frame by then anyway; halves of a shot are encoded side by side
SHORTEST_PACE = 1.2  # s a photo; below it nothing stands still between two dissolves
CARD_SECONDS = 2.4  # held, before the dissolve begins
BLACK_SECONDS = 0.3

_PLACE = {room: place for place, room in enumerate(WALK_ORDER)}


@dataclass(frozen=True)
class Shot:
    """One photo of the film; `width` x `height` px as `load_image` will give it.

    `label` is stated on the picture while it shows, such as "Virtually staged". `nearness_sha256` names a map of how
    near its parts are, which gives the camera's move depth; without one the photo moves as a flat picture.
    `clip_sha256` names a generated clip that is shown in place of a camera's move.
    """

    photo_id: str
    image_sha256: str
    width: int
    height: int
    room: RoomType = RoomType.UNKNOWN
    label: str = ""
    nearness_sha256: str = ""
    clip_sha256: str = ""


@dataclass(frozen=True)
class Titles:
    """What the cards say; the agent appears in a branded film only (an MLS takes unbranded ones alone)."""

    address: str | None = None
    headline: str | None = None
    agent_name: str | None = None
    agent_phone: str | None = None


@dataclass(frozen=True)
class PhotoClip:
    """One photo and the camera's way over it, from the dissolve that brings it to the one that takes it away."""

    shot: Shot
    move: Move
    path: CameraPath
    mat: Mat
    frames: int

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that determines this clip's pixels."""
        shot = self.shot
        return {
            "image": [shot.image_sha256, shot.width, shot.height],
            "path": repr((self.path, self.mat)),
            "frames": self.frames,
            **({"label": shot.label} if shot.label else {}),
            **({"nearness": [shot.nearness_sha256, PARALLAX_VERSION]} if shot.nearness_sha256 else {}),
            **({"clip": [shot.clip_sha256, CLIP_VERSION]} if shot.clip_sha256 else {}),
        }


@dataclass(frozen=True)
class CardClip:
    """Lines of text over a blurred, darkened photo: a small `kicker`, the large `title`, a small `detail` below."""

    kicker: str
    title: str
    detail: str
    backdrop: PhotoClip
    crop: Crop  # of the backdrop's photo, where the neighbouring shot begins or ends
    frames: int

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that determines this clip's pixels."""
        return {
            "text": [self.kicker, self.title, self.detail],
            "backdrop": [self.backdrop.identity, repr(self.crop)],
            "frames": self.frames,
        }


@dataclass(frozen=True)
class BlackClip:
    """Nothing yet, or nothing any more."""

    frames: int

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that determines this clip's pixels."""
        return {"black": True}


Clip = PhotoClip | CardClip | BlackClip


@dataclass(frozen=True)
class Segment:
    """Consecutive frames that are encoded as one: `clip` alone or, with `incoming`, its dissolve into that clip.

    `first_frame` counts in the clip's own frames; an incoming clip always starts at its frame 0.
    """

    clip: Clip
    first_frame: int
    frames: int
    size: tuple[int, int]
    fps: int
    incoming: Clip | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that determines the segment's pixels and encoding."""
        return fingerprint(
            version=PICTURE_VERSION,
            clip=self.clip.identity,
            incoming=self.incoming.identity if self.incoming else None,
            span=[self.first_frame, self.frames],
            format=[*self.size, self.fps],
        )


@dataclass(frozen=True)
class Storyboard:
    """The whole film; `size` is (width, height) in px."""

    size: tuple[int, int]
    fps: int
    segments: tuple[Segment, ...]
    clips: tuple[Clip, ...] = field(repr=False)

    @property
    def frames(self) -> int:
        return sum(segment.frames for segment in self.segments)

    @property
    def seconds(self) -> float:
        return self.frames / self.fps

    @property
    def photo_clips(self) -> tuple[PhotoClip, ...]:
        return tuple(clip for clip in self.clips if isinstance(clip, PhotoClip))


def order_for_walkthrough(shots: Sequence[Shot]) -> list[Shot]:
    """Order photos as a visit goes: the front, in at the door, day rooms, bedrooms, bathrooms, the rest, out again.

    Photos of the same kind, and those of unknown rooms, keep the order they came in.
    """
    return sorted(shots, key=lambda shot: _PLACE[shot.room])


def choose_moves(shots: Sequence[Shot], size: tuple[int, int]) -> list[Move]:
    """Choose a camera move for each of `shots` (in film order) such that neighbours differ wherever they can.

    Each photo ranks its fitting moves by its own content hash. Where two neighbours want the same, the one with the
    lower hash gives way: so a photo that is added or removed can change its neighbours' moves but hardly ever those
    further on.
    """
    chosen: dict[int, Move] = {}
    for index in sorted(range(len(shots)), key=lambda index: shots[index].image_sha256, reverse=True):
        shot = shots[index]
        moves = fitting_moves(shot.width, shot.height, shot.room, size)
        first = int(fingerprint(image=shot.image_sha256, choice="move")[:8], 16) % len(moves)
        ranked = moves[first:] + moves[:first]
        taken = {chosen.get(index - 1), chosen.get(index + 1)}
        chosen[index] = next((move for move in ranked if move not in taken), ranked[0])
    return [chosen[index] for index in range(len(shots))]


def build_storyboard(
    shots: Sequence[Shot],
    titles: Titles,
    *,
    size: tuple[int, int] = (1920, 1080),
    fps: int = 30,
    seconds_per_photo: float = 3.5,
    branded: bool = False,
) -> Storyboard:
    """Plan the film of `shots`, put in the order of a visit.

    `size` is (width, height) in px, even numbers; each photo moves the film on by `seconds_per_photo`, of which 0.8 s
    are its dissolve into the next. `branded` adds the agent's closing card. Raises ValueError for no shots, odd sizes
    or a pace under 1.2 s a photo.
    """
    if not shots:
        raise ValueError("a tour needs at least one photo: none of the listing's photos may be shown")
    if size[0] % 2 or size[1] % 2:
        raise ValueError(f"a frame of {size[0]}x{size[1]} px can't be encoded: use even numbers")
    if seconds_per_photo < SHORTEST_PACE:
        raise ValueError(f"seconds_per_photo is {seconds_per_photo}: a photo needs at least {SHORTEST_PACE} s")
    ordered = order_for_walkthrough(shots)
    dissolve = round(DISSOLVE_SECONDS * fps)
    hold = round(seconds_per_photo * fps) - dissolve
    photos = [
        _photo_clip(shot, move, size, hold + 2 * dissolve, fps)
        for shot, move in zip(ordered, choose_moves(ordered, size), strict=True)
    ]
    clips: list[Clip] = [
        _opening(titles, photos[0], size, fps),
        *photos,
        *_closing(titles, photos[-1], size, fps, branded),
    ]
    return Storyboard(size=size, fps=fps, segments=_segments(clips, size, fps), clips=tuple(clips))


def _photo_clip(shot: Shot, move: Move, size: tuple[int, int], frames: int, fps: int) -> PhotoClip:
    mat = mat_for(shot.width, shot.height, shot.room, size)
    path = camera_path(move, shot.width, shot.height, mat, frames / fps, shot.room)
    return PhotoClip(shot, move, path, mat, frames)


def _opening(titles: Titles, first: PhotoClip, size: tuple[int, int], fps: int) -> CardClip | BlackClip:
    street, _, town = (titles.address or "").strip().partition(",")
    title, detail = (street.strip(), town.strip()) if street else ((titles.headline or "").strip(), "")
    kicker = (titles.headline or "").strip() if street else ""
    if not title:
        return BlackClip(round((BLACK_SECONDS + DISSOLVE_SECONDS) * fps))
    frames = round((CARD_SECONDS + DISSOLVE_SECONDS) * fps)
    return CardClip(kicker, title, detail, first, backdrop_crop(first, first.path.start, size), frames)


def _closing(
    titles: Titles, last: PhotoClip, size: tuple[int, int], fps: int, branded: bool
) -> tuple[CardClip | BlackClip, ...]:
    black = BlackClip(round((BLACK_SECONDS + DISSOLVE_SECONDS) * fps))
    name, phone = (titles.agent_name or "").strip(), (titles.agent_phone or "").strip()
    if not branded or not (name or phone):
        return (black,)
    frames = round((CARD_SECONDS + 2 * DISSOLVE_SECONDS) * fps)
    kicker = (titles.address or "").strip()
    title, detail = (name, phone) if name else (phone, "")
    return (CardClip(kicker, title, detail, last, backdrop_crop(last, last.path.end, size), frames), black)


def backdrop_crop(clip: PhotoClip, crop: Crop, size: tuple[int, int]) -> Crop:
    """Return what a card shows of its photo: the shot's own crop, or the largest one if the shot is matted."""
    if (clip.mat.width, clip.mat.height) == size:
        return crop
    inner = largest_crop(crop.width, crop.height, size[0] / size[1])
    return replace(inner, x=inner.x + crop.x, y=inner.y + crop.y)


def _segments(clips: Sequence[Clip], size: tuple[int, int], fps: int) -> tuple[Segment, ...]:
    dissolve = round(DISSOLVE_SECONDS * fps)
    segments: list[Segment] = []
    begins = 0  # frames of the current clip that the dissolve into it has used up
    for clip, incoming in zip(clips, [*clips[1:], None], strict=True):
        ends = clip.frames - (dissolve if incoming else 0)
        segments += [Segment(clip, first, frames, size, fps) for first, frames in _parts(begins, ends, fps)]
        if incoming:
            segments.append(Segment(clip, ends, dissolve, size, fps, incoming))
        begins = dissolve
    return tuple(segments)


def _parts(begins: int, ends: int, fps: int) -> list[tuple[int, int]]:
    """Cut the frames from `begins` to `ends` (not included) into even parts, none too long: (first, number) of each."""
    count = math.ceil((ends - begins) / (LONGEST_SEGMENT_SECONDS * fps))
    cuts = [begins + (ends - begins) * part // count for part in range(count + 1)]
    return [(first, last - first) for first, last in pairwise(cuts)]
