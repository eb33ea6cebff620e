"""Generated clips: written and read as MP4, and drawn into the film at whatever pace a shot has.

A model gives fewer frames than a shot lasts. Those between are made by following what moves from one to the next, so
that nothing fades into its own double.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.tour.camera import Mat, largest_crop
from listing_media_dagster.tour.plates import TO_YCBCR, Frame, Plane, new_frame

Rgb = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]

_X264 = {"preset": "medium", "crf": "14", "profile": "high"}  # it is encoded once more, as part of the film
_BT709, _LIMITED_RANGE = 1, 1


class BadClip(ValueError):
    """A file that is no clip; the message says which."""


def write_clip(frames: Sequence[Rgb], path: Path, fps: int) -> None:
    """Encode `frames` (uint8 (h, w, 3) sRGB, one size, even edges) as an MP4 of `fps` frames a second."""
    import av

    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=fps, options=dict(_X264))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.thread_count = 1  # the same bytes whatever the machine
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED_RANGE
        for number, rgb in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(_packed(rgb), format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, fps)
            picture.colorspace, picture.color_range = _BT709, _LIMITED_RANGE
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def read_clip(path: Path) -> tuple[Frame, ...]:
    """Return the frames of a clip as `write_clip` wrote it. Raises `BadClip` for anything else."""
    import av

    try:
        with av.open(str(path)) as container:
            frames = [
                _frame_of(np.asarray(each.to_ndarray(format="yuv420p"), np.uint8)) for each in container.decode(video=0)
            ]
    except (av.FFmpegError, OSError, IndexError, ValueError) as broken:
        raise BadClip(f"{path.name} can't be played: {broken}") from broken
    if not frames:
        raise BadClip(f"{path.name} holds no frame")
    return tuple(frames)


@dataclass
class ClipPlayer:
    """Draws a clip's frames, and those between them; one for each thread."""

    frames: tuple[Frame, ...]
    _between: int = -1
    _flow: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 2), np.float32))

    def draw(self, share: float, frame: Frame, mat: Mat) -> None:
        """Draw the moment `share` (0..1) of the clip into the part `mat` of `frame`, cropped to its shape."""
        y, cb, cr = self._planes_at(share)
        crop = largest_crop(y.shape[1], y.shape[0], mat.width / mat.height)
        place = (slice(mat.y, mat.y + mat.height), slice(mat.x, mat.x + mat.width))
        half = (slice(mat.y // 2, (mat.y + mat.height) // 2), slice(mat.x // 2, (mat.x + mat.width) // 2))
        for plane, target, scale in ((y, frame.y[place], 1), (cb, frame.cb[half], 2), (cr, frame.cr[half], 2)):
            left, top = round(crop.x / scale), round(crop.y / scale)
            part = plane[top : top + round(crop.height / scale), left : left + round(crop.width / scale)]
            method = cv2.INTER_AREA if part.shape[1] > target.shape[1] else cv2.INTER_CUBIC
            target[:] = cv2.resize(part, (target.shape[1], target.shape[0]), interpolation=method)

    def _planes_at(self, share: float) -> Planes:
        position = min(max(share, 0.0), 1.0) * (len(self.frames) - 1)
        first = min(int(position), max(len(self.frames) - 2, 0))
        part = position - first
        before = self.frames[first]
        if part < 1e-3 or len(self.frames) == 1:
            return before.y, before.cb, before.cr
        after = self.frames[first + 1]
        if first != self._between:
            self._between, self._flow = first, _flow(before.y, after.y)
        halved = _halved(self._flow)
        return (
            _mixed(before.y, after.y, self._flow, part),
            _mixed(before.cb, after.cb, halved, part),
            _mixed(before.cr, after.cr, halved, part),
        )


def _packed(rgb: Rgb) -> NDArray[np.uint8]:
    frame = new_frame((rgb.shape[1], rgb.shape[0]))
    y, cb, cr = cv2.split(cv2.transform(rgb, TO_YCBCR))
    frame.y[:] = y
    for plane, target in ((cb, frame.cb), (cr, frame.cr)):
        target[:] = cv2.resize(plane, (target.shape[1], target.shape[0]), interpolation=cv2.INTER_AREA)
    return frame.packed


def _frame_of(packed: NDArray[np.uint8]) -> Frame:
    frame = new_frame((packed.shape[1], packed.shape[0] * 2 // 3))
    frame.packed[:] = packed
    return frame


def _flow(before: Plane, after: Plane) -> NDArray[np.float32]:
    """Return where each px of `before` is in `after`, less its own place, (h, w, 2)."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return np.asarray(dis.calc(before, after, np.zeros((*before.shape, 2), np.float32)), np.float32)


def _halved(flow: NDArray[np.float32]) -> NDArray[np.float32]:
    size = (flow.shape[1] // 2, flow.shape[0] // 2)
    return np.asarray(cv2.resize(flow, size, interpolation=cv2.INTER_AREA) / 2, np.float32)


def _mixed(before: Plane, after: Plane, flow: NDArray[np.float32], part: float) -> Plane:
    """Return the plane `part` (0..1) of the way from `before` to `after`, both moved to where things are by then."""
    height, width = before.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    across, down = flow[..., 0], flow[..., 1]
    moved = cv2.remap(before, x - part * across, y - part * down, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    coming = cv2.remap(
        after, x + (1 - part) * across, y + (1 - part) * down, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.addWeighted(moved, 1 - part, coming, part, 0), np.uint8)
