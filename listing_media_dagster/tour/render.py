"""Storyboard to film: draws the segments that aren't known yet, two at a time, and joins all of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.tour.camera import Mat, ease
from listing_media_dagster.tour.clips import ClipPlayer, read_clip
from listing_media_dagster.tour.encode import (
    BadSegment,
    Sound,
    check_segment,
    encode_segment,
    join_segments,
    segment_header,
    silence,
)
from listing_media_dagster.tour.parallax import Relief, relief_of, sample_in_relief
from listing_media_dagster.tour.plates import (
    Frame,
    Plate,
    backdrop_plate,
    new_frame,
    prepare_plate,
    rgb_of,
    sample,
)
from listing_media_dagster.tour.storyboard import (
    BlackClip,
    CardClip,
    Clip,
    PhotoClip,
    Segment,
    Storyboard,
    backdrop_crop,
)
from listing_media_dagster.tour.titles import TextLayer, lay_out_card, lay_out_label

LoadImage = Callable[[str], NDArray[np.uint8]]
LoadNearness = Callable[[str], NDArray[np.floating]]
FindClip = Callable[[str], Path]
Draw = Callable[[int, Frame], None]
"""Draws a clip's frame of that number over whatever the frame holds."""

_CARD_BRIGHTNESS = 0.42
_MAT_BRIGHTNESS = 0.36
_TEXT_FADE_SECONDS = 0.8
_CARD_ZOOM = 1.05
_STRIP_BRIGHTNESS = 0.28
_TEXT_LUMA = 232  # a touch under white: less glare, no ringing


@dataclass(frozen=True)
class TourResult:
    """What was made, and how much of it was new."""

    seconds: float
    frames: int
    encoded_segments: int
    reused_segments: int


class _Cancelled(Exception):
    """Another segment failed; this one needn't go on."""


def render_tour(
    storyboard: Storyboard,
    load_image: LoadImage,
    output: Path,
    *,
    cached_segment: Callable[[str], Path | None],
    keep_segment: Callable[[str, Path], None],
    progress: Callable[[int, int], None] | None = None,
    workers: int = 2,
    sound: Sound = silence,
    load_nearness: LoadNearness | None = None,
    find_clip: FindClip | None = None,
) -> TourResult:
    """Make the film of `storyboard` at `output` (MP4: H.264 High yuv420p BT.709, AAC); an existing file is replaced
    whole.

    `load_image(photo_id)` gives uint8 (H, W, 3), sRGB, in the size the storyboard was told; it is called from worker
    threads, about once a photo. `cached_segment(fingerprint)` may offer a segment made before (one that doesn't fit is
    made again); `keep_segment(fingerprint, path)` gets each new one and must copy or link it, not move it.
    `progress(done, total)` counts frames. The last three are called from this thread. `load_nearness(photo_id)` gives
    the map of a shot that has one (h, w), 0 farthest to 1 nearest; one that tells too little leaves the move flat.
    `find_clip(photo_id)` gives the file of a shot that has a generated clip.
    Raises what `load_image` raises, ValueError for an image of another size, `BadClip` for a clip that can't be read.
    """
    segments = storyboard.segments
    with TemporaryDirectory(prefix=".tour-", dir=output.parent) as folder:
        scratch = Path(folder)
        header = segment_header(scratch, storyboard.size, storyboard.fps)
        paths = _usable(segments, cached_segment, header)
        wanted = {segment.fingerprint: segment for segment in segments if segment.fingerprint not in paths}
        done = storyboard.frames - sum(segment.frames for segment in wanted.values())
        _report(progress, done, storyboard.frames)
        plates = _Plates(load_image, workers + 1, load_nearness, find_clip)
        with closing(_encode_all(list(wanted.values()), plates, scratch, workers)) as encoded:
            for fingerprint, path in encoded:
                keep_segment(fingerprint, path)
                paths[fingerprint] = path
                done += wanted[fingerprint].frames
                _report(progress, done, storyboard.frames)
        film = scratch / "film.mp4"
        ordered = [paths[segment.fingerprint] for segment in segments]
        frames = join_segments(ordered, film, fps=storyboard.fps, sound=sound)
        film.replace(output)
    return TourResult(frames / storyboard.fps, frames, len(wanted), len(segments) - len(wanted))


def poster(
    storyboard: Storyboard,
    load_image: LoadImage,
    load_nearness: LoadNearness | None = None,
    find_clip: FindClip | None = None,
) -> NDArray[np.uint8]:
    """Return the film's still: the middle of its first photo's shot, uint8 (H, W, 3), sRGB."""
    clip = storyboard.photo_clips[0]
    frame = new_frame(storyboard.size)
    _drawing(clip, storyboard.size, storyboard.fps, _Plates(load_image, 1, load_nearness, find_clip))(
        clip.frames // 2, frame
    )
    return rgb_of(frame)


def draw_segment(
    segment: Segment,
    load_image: LoadImage,
    load_nearness: LoadNearness | None = None,
    find_clip: FindClip | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the segment's frames, packed yuv420p, uint8 (H * 3 / 2, W), BT.709 limited range, in one reused array."""
    yield from _draw_segment(segment, _Plates(load_image, 2, load_nearness, find_clip))


def _report(progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
    if progress:
        progress(done, total)


def _usable(
    segments: tuple[Segment, ...], cached_segment: Callable[[str], Path | None], header: bytes
) -> dict[str, Path]:
    """Return the known segments by fingerprint, leaving out damaged ones and those of another encoder build."""
    paths: dict[str, Path] = {}
    for segment in segments:
        path = cached_segment(segment.fingerprint)
        if path is None:
            continue
        try:
            check_segment(path, header, segment.frames)
        except (BadSegment, FileNotFoundError):
            continue
        paths[segment.fingerprint] = path
    return paths


def _encode_all(
    segments: list[Segment], plates: _Plates, scratch: Path, workers: int
) -> Generator[tuple[str, Path], None, None]:
    """Encode `segments` in film order on `workers` threads; yield (fingerprint, path) as each is done."""
    stop = threading.Event()

    def encode(segment: Segment) -> tuple[str, Path]:
        path = scratch / f"{segment.fingerprint}.mp4"
        encode_segment(_until(stop, _draw_segment(segment, plates)), path, segment.size, segment.fps)
        return segment.fingerprint, path

    pool = ThreadPoolExecutor(workers, thread_name_prefix="tour")
    futures: list[Future[tuple[str, Path]]] = []
    try:
        futures = [pool.submit(encode, segment) for segment in segments]
        for future in as_completed(futures):
            yield future.result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _until(stop: threading.Event, pictures: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    for picture in pictures:
        if stop.is_set():
            raise _Cancelled
        yield picture


@dataclass(frozen=True)
class ReadyPhoto:
    """A photo as its clip needs it; without `relief` it moves as a flat picture. `generated` frames replace both."""

    plate: Plate
    relief: Relief | None
    generated: tuple[Frame, ...] = ()


class _Plates:
    """The plates of the photos being shown now, made once however many segments ask; the oldest is dropped.

    At most one full-resolution photo a worker is in memory.
    """

    def __init__(
        self, load_image: LoadImage, capacity: int, load_nearness: LoadNearness | None, find_clip: FindClip | None
    ) -> None:
        self._load_image, self._capacity = load_image, capacity
        self._load_nearness, self._find_clip = load_nearness, find_clip
        self._guard = threading.Lock()
        self._plates: OrderedDict[PhotoClip, Future[ReadyPhoto]] = OrderedDict()

    def of(self, clip: PhotoClip) -> ReadyPhoto:
        """Return the plate of `clip`, waiting if another thread is making it."""
        with self._guard:
            future = self._plates.get(clip)
            mine = future is None
            if future is None:
                future = self._plates[clip] = Future()
                while len(self._plates) > self._capacity:
                    self._plates.popitem(last=False)
            self._plates.move_to_end(clip)
        if mine:
            try:
                future.set_result(self._make(clip))
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()

    def _make(self, clip: PhotoClip) -> ReadyPhoto:
        rgb, shot = self._load_image(clip.shot.photo_id), clip.shot
        if rgb.shape != (shot.height, shot.width, 3):
            raise ValueError(
                f"photo {shot.photo_id} is {rgb.shape}, the storyboard was told {shot.width}x{shot.height}"
            )
        if shot.clip_sha256 and self._find_clip:
            generated = read_clip(self._find_clip(shot.photo_id))
            return ReadyPhoto(prepare_plate(rgb, clip.path, clip.mat), None, generated)
        relief = None
        if shot.nearness_sha256 and self._load_nearness:
            relief = relief_of(self._load_nearness(shot.photo_id), rgb, clip.path)
        return ReadyPhoto(prepare_plate(rgb, clip.path, clip.mat), relief)


def _draw_segment(segment: Segment, plates: _Plates) -> Iterator[NDArray[np.uint8]]:
    frame = new_frame(segment.size)
    draw = _drawing(segment.clip, segment.size, segment.fps, plates)
    if segment.incoming is None:
        for index in range(segment.frames):
            draw(segment.first_frame + index, frame)
            yield frame.packed
        return
    other = new_frame(segment.size)
    draw_other = _drawing(segment.incoming, segment.size, segment.fps, plates)
    mixed = np.empty_like(frame.packed)
    for index in range(segment.frames):
        draw(segment.first_frame + index, frame)
        draw_other(index, other)
        moment = (index + 1) / (segment.frames + 1)
        share = moment * moment * (3.0 - 2.0 * moment)
        cv2.addWeighted(frame.packed, 1.0 - share, other.packed, share, 0.0, dst=mixed)
        yield mixed


def _drawing(clip: Clip, size: tuple[int, int], fps: int, plates: _Plates) -> Draw:
    """Prepare what doesn't change while `clip` runs and return what draws one of its frames."""
    match clip:
        case PhotoClip():
            return _photo_drawing(clip, size, plates.of(clip))
        case CardClip():
            return _card_drawing(clip, size, fps, plates.of(clip.backdrop).plate)
        case BlackClip():
            black = new_frame(size)
            return lambda _index, frame: np.copyto(frame.packed, black.packed)


def _photo_drawing(clip: PhotoClip, size: tuple[int, int], ready: ReadyPhoto) -> Draw:
    plate, relief, middle = ready.plate, ready.relief, clip.path.at(0.5)
    surround = None if (clip.mat.width, clip.mat.height) == size else _surround(clip, size, plate)
    label = lay_out_label(clip.shot.label, size) if clip.shot.label else None
    player = ClipPlayer(ready.generated) if ready.generated else None

    def draw(index: int, frame: Frame) -> None:
        if surround is not None:
            np.copyto(frame.packed, surround.packed)
        crop = clip.path.at(index / (clip.frames - 1))
        if player is not None:
            player.draw(index / (clip.frames - 1), frame, clip.mat)
        elif relief is None:
            sample(plate, crop, frame, clip.mat)
        else:
            sample_in_relief(plate, relief, crop, middle, frame, clip.mat)
        if label is not None:
            _darken(frame, label)
            _lay_over(frame, label.mask, label.x, label.y, 1.0)

    return draw


def _surround(clip: PhotoClip, size: tuple[int, int], plate: Plate) -> Frame:
    """Return what lies around a matted photo: the photo itself, blurred and darkened, with the mat's soft shadow."""
    crop = backdrop_crop(clip, clip.path.start, size)
    frame = new_frame(size)
    sample(backdrop_plate(plate, crop, brightness=_MAT_BRIGHTNESS, blur=0.03), crop, frame, Mat(0, 0, *size))
    shade, mat = np.zeros((size[1], size[0]), np.float32), clip.mat
    shade[mat.y : mat.y + mat.height, mat.x : mat.x + mat.width] = 0.55
    soft = cv2.GaussianBlur(shade, (0, 0), min(size) * 0.022)
    frame.y[:] = 16 + (frame.y - 16.0) * (1.0 - soft)
    return frame


def _card_drawing(clip: CardClip, size: tuple[int, int], fps: int, plate: Plate) -> Draw:
    blurred = backdrop_plate(plate, clip.crop, brightness=_CARD_BRIGHTNESS)
    layers = lay_out_card(clip.kicker, clip.title, clip.detail, size)
    tight, whole_frame = clip.crop.tightened(_CARD_ZOOM), Mat(0, 0, *size)

    def draw(index: int, frame: Frame) -> None:
        left = 1.0 - index / (clip.frames - 1)
        zoom = 1.0 + (clip.crop.width / tight.width - 1.0) * left * left
        sample(blurred, clip.crop.tightened(zoom), frame, whole_frame)
        for layer in layers:
            opacity = ease(index / fps / _TEXT_FADE_SECONDS - layer.delay / _TEXT_FADE_SECONDS)
            if opacity > 0.0:
                _lay_over(frame, layer.mask, layer.x, layer.y, opacity)

    return draw


def _darken(frame: Frame, label: TextLayer) -> None:
    """Put a dark, nearly neutral strip under `label`: white on it keeps a contrast above 7 to 1 on any photo."""
    height, width = label.mask.shape
    rows, columns = slice(label.y, label.y + height), slice(label.x, label.x + width)
    frame.y[rows, columns] = 16 + (frame.y[rows, columns] - 16.0) * _STRIP_BRIGHTNESS
    half_rows, half_columns = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
    for plane in (frame.cb, frame.cr):
        plane[half_rows, half_columns] = 128 + (plane[half_rows, half_columns] - 128.0) * _STRIP_BRIGHTNESS


def _lay_over(frame: Frame, mask: NDArray[np.uint8], x: int, y: int, opacity: float) -> None:
    """Blend neutral light text of coverage `mask` into `frame` at even `x`, `y`."""
    cover = mask.astype(np.float32) * (opacity / 255.0)
    rows, columns = slice(y, y + mask.shape[0]), slice(x, x + mask.shape[1])
    frame.y[rows, columns] = frame.y[rows, columns] * (1.0 - cover) + _TEXT_LUMA * cover + 0.5
    half = cv2.resize(cover, (mask.shape[1] // 2, mask.shape[0] // 2), interpolation=cv2.INTER_AREA)
    rows, columns = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
    for plane in (frame.cb, frame.cr):
        plane[rows, columns] = plane[rows, columns] * (1.0 - half) + 128.0 * half + 0.5
