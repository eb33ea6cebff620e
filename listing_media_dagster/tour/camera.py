"""How the camera moves over one photo: pure geometry from a moment in the shot to a crop of the photo.

A path is a convex combination of its first and its last crop, so it can't leave the photo if those two lie inside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from listing_media_dagster.listing import EXTERIORS, RoomType

ZOOM_PER_SECOND = 0.026  # of the crop's width; faster reads as hurry, slower as a still
TRAVEL_PER_SECOND = 0.036  # crop widths (or heights); about 2.3 px a frame at 1080p30
MAX_UPSCALE = 2.4  # frame px per photo px; beyond it a photo is matted on its own blurred picture instead
ROOM_TO_ZOOM = 1.06  # kept below MAX_UPSCALE when the mat is sized, so that small photos can move too
COMFORTABLE_UPSCALE = 1.5  # above it the zoom is halved: the softness must not grow under the viewer's eye
MIN_COVER = 0.62  # share of the photo that must stay visible when it fills the frame; below it the photo is matted
MAT_OVERSCAN = 1.25  # how much taller than its mat a matted portrait is, so that it can drift
ROOF_SHARE = 0.2  # of what a wide frame cuts off an outside view, the part taken from the top: roofs stay whole
EASE = 0.6  # 0 = constant speed, 1 = from rest to rest; never at rest, or dissolves look frozen

_SMALL_ROOMS = frozenset(
    {
        RoomType.BATHROOM,
        RoomType.PRIMARY_BATHROOM,
        RoomType.CLOSET,
        RoomType.LAUNDRY,
        RoomType.ENTRY,
        RoomType.HALLWAY,
        RoomType.STAIRS,
    }
)


class Move(StrEnum):
    """What the camera does."""

    PUSH_IN = "push_in"
    PULL_OUT = "pull_out"
    PAN_LEFT = "pan_left"
    PAN_RIGHT = "pan_right"
    TILT_UP = "tilt_up"
    TILT_DOWN = "tilt_down"
    DRIFT_UP_RIGHT = "drift_up_right"
    DRIFT_UP_LEFT = "drift_up_left"
    STILL = "still"


@dataclass(frozen=True)
class Crop:
    """A rectangle of a photo in px, measured from the photo's upper left corner (edges, not pixel centres)."""

    x: float
    y: float
    width: float
    height: float

    def tightened(self, zoom: float) -> Crop:
        """Return the crop `zoom` (≥ 1) times smaller around the same centre."""
        width, height = self.width / zoom, self.height / zoom
        return Crop(self.x + (self.width - width) / 2, self.y + (self.height - height) / 2, width, height)


@dataclass(frozen=True)
class Mat:
    """The part of the frame that shows the photo, in px (even numbers); the whole frame for most photos."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class CameraPath:
    """From the crop a shot begins with to the one it ends with."""

    start: Crop
    end: Crop

    def at(self, moment: float) -> Crop:
        """Return the crop at `moment` (0 = the shot's first frame, 1 = its last).

        Width changes by a constant *factor* a second, which the eye sees as a constant approach; position follows the
        width, so that a zoom has one fixed point and its path is straight.
        """
        eased = ease(moment)
        ratio = self.end.width / self.start.width
        share = eased if abs(ratio - 1.0) < 1e-6 else math.expm1(eased * math.log(ratio)) / (ratio - 1.0)
        return between(self.start, self.end, share)


def between(start: Crop, end: Crop, share: float) -> Crop:
    """Return the crop `share` (0..1) of the way from `start` to `end`."""
    keep = 1.0 - share
    return Crop(
        keep * start.x + share * end.x,
        keep * start.y + share * end.y,
        keep * start.width + share * end.width,
        keep * start.height + share * end.height,
    )


def ease(moment: float) -> float:
    """Return the share of the way covered at `moment` (0..1): slow, faster, slow, with a continuous speed."""
    moment = min(1.0, max(0.0, moment))
    return (1.0 - EASE) * moment + EASE * moment * moment * (3.0 - 2.0 * moment)


def largest_crop(width: float, height: float, aspect: float) -> Crop:
    """Return the largest centred crop of `aspect` (width / height) that a photo of `width` x `height` px holds."""
    crop_width = min(width, height * aspect)
    crop_height = crop_width / aspect
    return Crop((width - crop_width) / 2, (height - crop_height) / 2, crop_width, crop_height)


def mat_for(width: int, height: int, room: RoomType, size: tuple[int, int]) -> Mat:
    """Decide which part of a frame of `size` px shows a photo of `width` x `height` px.

    A photo that would lose too much when it fills the frame (a portrait in a wide film, a landscape in a tall one),
    that would be blown up too far, or that must be seen whole (a floor plan) gets a mat of its own shape.
    """
    frame_width, frame_height = size
    frame_aspect, aspect = frame_width / frame_height, width / height
    if room is RoomType.FLOOR_PLAN:
        mat_aspect, margin = aspect, 0.94
    elif min(aspect / frame_aspect, frame_aspect / aspect) >= MIN_COVER:
        mat_aspect, margin = frame_aspect, 1.0
    elif aspect < frame_aspect:
        mat_aspect, margin = min(aspect * MAT_OVERSCAN, frame_aspect), 1.0
    else:
        mat_aspect, margin = max(aspect / MAT_OVERSCAN, frame_aspect), 1.0
    mat_width = min(frame_width, frame_height * mat_aspect) * margin
    mat_width = min(mat_width, largest_crop(width, height, mat_aspect).width * MAX_UPSCALE / ROOM_TO_ZOOM)
    mat_height = mat_width / mat_aspect
    even_width, even_height = (max(2, 2 * round(side / 2)) for side in (mat_width, mat_height))
    return Mat(2 * ((frame_width - even_width) // 4), 2 * ((frame_height - even_height) // 4), even_width, even_height)


def fitting_moves(width: int, height: int, room: RoomType, size: tuple[int, int]) -> tuple[Move, ...]:
    """Return the moves that suit a photo of `width` x `height` px of `room` in a frame of `size` px, never none."""
    if room is RoomType.FLOOR_PLAN:
        return (Move.STILL,)
    mat = mat_for(width, height, room, size)
    crop = largest_crop(width, height, mat.width / mat.height)
    rise, reach = (height - crop.height) / crop.height, (width - crop.width) / crop.width
    if (mat.width, mat.height) != size:
        drifts = (Move.TILT_UP, Move.TILT_DOWN) if rise >= reach else (Move.PAN_LEFT, Move.PAN_RIGHT)
        return (*drifts, Move.PUSH_IN, Move.PULL_OUT)
    if reach > 0.25:
        return (Move.PAN_RIGHT, Move.PAN_LEFT, Move.DRIFT_UP_RIGHT)
    moves = [Move.PUSH_IN, Move.PULL_OUT, Move.DRIFT_UP_RIGHT, Move.DRIFT_UP_LEFT]
    if room not in _SMALL_ROOMS:
        moves += [Move.PAN_RIGHT, Move.PAN_LEFT]
    if rise > 0.25 or (room in EXTERIORS and rise > 0.1):
        moves += [Move.TILT_UP]
    return tuple(moves)


def camera_path(
    move: Move, width: int, height: int, mat: Mat, seconds: float, room: RoomType = RoomType.UNKNOWN
) -> CameraPath:
    """Lay `move` over a photo of `width` x `height` px that is shown in `mat` for `seconds`.

    Every crop of the path lies inside the photo and has the aspect of `mat`; amplitude grows with `seconds`, so that
    the speed is the same in a hurried and in a leisurely film.
    """
    whole = largest_crop(width, height, mat.width / mat.height)
    rate = ZOOM_PER_SECOND if mat.width / whole.width <= COMFORTABLE_UPSCALE else ZOOM_PER_SECOND / 2
    zoom = min(math.exp(rate * min(seconds, 8.0)), max(1.0, MAX_UPSCALE * whole.width / mat.width))
    tight = whole.tightened(zoom)
    travel = TRAVEL_PER_SECOND * seconds
    above = ROOF_SHARE if room in EXTERIORS else 0.5

    def placed(crop: Crop, across: float, down: float) -> Crop:
        """Return `crop` moved from its resting place by shares of its size, held inside the photo."""
        x = (width - crop.width) / 2 + across * crop.width
        y = (height - crop.height) * above + down * crop.height
        return Crop(
            min(max(0.0, x), width - crop.width), min(max(0.0, y), height - crop.height), crop.width, crop.height
        )

    half, quarter = travel / 2, travel / 4
    ends: dict[Move, tuple[Crop, Crop]] = {
        Move.PUSH_IN: (placed(whole, 0, 0), placed(tight, 0, 0)),
        Move.PULL_OUT: (placed(tight, 0, 0), placed(whole, 0, 0)),
        Move.PAN_RIGHT: (placed(tight, -half, 0), placed(tight, half, 0)),
        Move.PAN_LEFT: (placed(tight, half, 0), placed(tight, -half, 0)),
        Move.TILT_UP: (placed(whole, 0, half), placed(whole, 0, -half)),
        Move.TILT_DOWN: (placed(whole, 0, -half), placed(whole, 0, half)),
        Move.DRIFT_UP_RIGHT: (placed(tight, -half, quarter), placed(tight, half, -quarter)),
        Move.DRIFT_UP_LEFT: (placed(tight, half, quarter), placed(tight, -half, -quarter)),
        Move.STILL: (placed(whole, 0, 0), placed(whole, 0, 0)),
    }
    return CameraPath(*ends[move])
