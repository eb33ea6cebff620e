"""Frames to H.264 segments, and segments to the finished MP4.

Segments are encoded apart with the same settings (closed GOPs, one parameter set, headers outside the stream), so
joining them is copying packets with new time stamps: nothing is encoded twice, and a join costs no quality.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet

AUDIO_RATE = 48_000  # Hz
AUDIO_BIT_RATE = 160_000
AUDIO_BLOCK = 1024  # samples an AAC frame
CLOCK = 90_000  # ticks a second of the video track; divides by every usual frame rate
SEGMENTS_AHEAD = 4

# Measured at 1080p on moving listing photos against preset veryfast, crf 20: 19 ms of CPU a frame for 27, and 44.6 dB
# at 6.4 Mbps for 43.2 dB at 3.9. No macroblock tree: it starves the last frames of a segment, which pop at the join
# (0.7 levels of mean luma; 0.3 without), and its AVX-512 code encodes the same frames differently from run to run.
# One thread an encoder: segments are made side by side, and the bytes don't depend on the number of workers.
_X264 = {
    "preset": "superfast",
    "crf": "22",
    "profile": "high",
    "level": "4.1",
    "x264-params": (
        "subme=1:mbtree=0:rc-lookahead=4:weightp=1:aq-mode=3:aq-strength=0.9:deadzone-inter=11:deadzone-intra=6:"
        "bframes=3:b-adapt=1:b-pyramid=none:ref=2:open-gop=0:scenecut=0:vbv-maxrate=24000:vbv-bufsize=24000"
    ),
}
_BT709 = 1  # H.264 table E-3 to E-5: primaries, transfer and matrix
_LIMITED_RANGE = 1

Sound = Callable[[float], Iterable[NDArray[np.float32]]]
"""Makes the film's sound: seconds -> blocks of float32 (2, n), left and right, -1..1, at 48 kHz."""


class BadSegment(ValueError):
    """A segment file that can't be part of the film; the message says why."""


def silence(seconds: float) -> Iterator[NDArray[np.float32]]:
    """Yield `seconds` of nothing."""
    left = round(seconds * AUDIO_RATE)
    while left > 0:
        yield np.zeros((2, min(left, AUDIO_BLOCK)), np.float32)
        left -= AUDIO_BLOCK


def encode_segment(pictures: Iterable[NDArray[np.uint8]], path: Path, size: tuple[int, int], fps: int) -> int:
    """Encode `pictures` as one MP4 segment and return their number.

    A picture is packed yuv420p, uint8 (H * 3 / 2, W), BT.709 limited range.
    """
    import av

    count = 0
    with av.open(str(path), "w", format="mp4", options={"video_track_timescale": str(CLOCK)}) as container:
        stream: Any = container.add_stream("libx264", rate=fps, options=dict(_X264))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, fps)
        context = stream.codec_context
        context.thread_count = 1
        context.gop_size = 2 * fps
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED_RANGE
        for count, picture in enumerate(pictures, start=1):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = count - 1, Fraction(1, fps)
            frame.colorspace, frame.color_range = _BT709, _LIMITED_RANGE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return count


def segment_header(scratch: Path, size: tuple[int, int], fps: int) -> bytes:
    """Return the parameter sets of a segment encoded here and now; only segments with equal ones can be joined."""
    probe = scratch / "header.mp4"
    grey = np.full((size[1] * 3 // 2, size[0]), 128, np.uint8)
    encode_segment([grey], probe, size, fps)
    return _header_and_count(probe)[0]


def check_segment(path: Path, header: bytes, frames: int) -> None:
    """Raise `BadSegment` unless `path` holds exactly `frames` frames that can follow a segment with `header`."""
    found, count = _header_and_count(path)
    if found != header:
        raise BadSegment(f"{path.name} was encoded with other parameters")
    if count != frames:
        raise BadSegment(f"{path.name} holds {count} frames instead of {frames}")


def join_segments(paths: Sequence[Path], output: Path, *, fps: int, sound: Sound = silence) -> int:
    """Copy the segments one after the other into `output` (MP4, index in front), with `sound` as AAC; return the
    frames.

    Time stamps are exact: frame n is shown at n / fps whatever the segment it comes from.
    """
    import av

    frames = 0
    options = {"movflags": "+faststart", "video_track_timescale": str(CLOCK)}
    counts = [_header_and_count(path)[1] for path in paths]
    with av.open(str(output), "w", format="mp4", options=options) as container:
        with av.open(str(paths[0])) as first:
            video = container.add_stream_from_template(first.streams.video[0])
        audio = _AudioTrack(container, sound(sum(counts) / fps))
        for packets, count in zip(_read_ahead(paths), counts, strict=True):
            for packet in packets:
                _shift(packet, frames, fps)
                packet.stream = video
                container.mux_one(packet)
            frames += count
            audio.write_until(frames / fps)
        audio.finish()
    return frames


class _AudioTrack:
    """The film's AAC stream, encoded as far as the picture has got, so that the two interleave."""

    def __init__(self, container: OutputContainer, blocks: Iterable[NDArray[np.float32]]) -> None:
        self._container = container
        self._stream: Any = container.add_stream("aac", rate=AUDIO_RATE)
        self._stream.bit_rate = AUDIO_BIT_RATE
        self._stream.layout = "stereo"
        self._blocks, self._written = iter(blocks), 0

    def write_until(self, seconds: float) -> None:
        import av

        while self._written < seconds * AUDIO_RATE and (block := next(self._blocks, None)) is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = AUDIO_RATE, self._written
            frame.time_base = Fraction(1, AUDIO_RATE)
            self._written += block.shape[1]
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self.write_until(float("inf"))
        self._container.mux(self._stream.encode(None))


def _shift(packet: Packet[Any], frames: int, fps: int) -> None:
    """Move `packet` of a segment `frames` later, on the clock of the film."""
    if packet.pts is None or packet.dts is None:
        raise BadSegment("a packet without time stamps")
    ticks = CLOCK // fps
    frames_a_tick = float(packet.time_base * fps)  # exact fractions of 3,000 packets take a tenth of a second
    pts, dts = round(packet.pts * frames_a_tick), round(packet.dts * frames_a_tick)
    packet.time_base = Fraction(1, CLOCK)
    packet.pts, packet.dts, packet.duration = (pts + frames) * ticks, (dts + frames) * ticks, ticks


def _read_ahead(paths: Sequence[Path]) -> Iterator[list[Packet[Any]]]:
    """Yield the packets of each segment in turn, a few read side by side."""
    with ThreadPoolExecutor(SEGMENTS_AHEAD, thread_name_prefix="segment") as ahead:
        for start in range(0, len(paths), SEGMENTS_AHEAD):
            yield from ahead.map(_packets, paths[start : start + SEGMENTS_AHEAD])


def _packets(path: Path) -> list[Packet[Any]]:
    import av

    # Nothing is decoded here: without skipping, every opening tries a frame and takes 20 ms instead of one.
    skipping: Any = [{"skip_frame": "all"}]  # PyAV's stubs name another type than it takes
    with av.open(str(path), stream_options=skipping) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def _header_and_count(path: Path) -> tuple[bytes, int]:
    """Return a segment's parameter sets and number of frames from its index (opening it as a film costs 20 ms)."""
    data = path.read_bytes()
    try:
        whole = [(kind, begin, end) for kind, begin, end in _boxes(data, 0, len(data))]
        if whole[-1][2] != len(data):
            raise BadSegment(f"{path.name} is cut off")
        table = _inside(data, (0, len(data)), b"moov", b"trak", b"mdia", b"minf", b"stbl")
        entry = _inside(data, table, b"stsd")[0] + 8  # version and flags, number of entries
        # A visual sample entry has 78 bytes of fixed fields before its boxes (ISO/IEC 14496-12, 12.1.3).
        begin, end = _inside(data, (entry + 8 + 78, entry + _number(data, entry)), b"avcC")
        count = _number(data, _inside(data, table, b"stsz")[0] + 8)
    except (IndexError, struct.error) as error:
        raise BadSegment(f"{path.name} is no segment of a film") from error
    return data[begin:end], count


def _number(data: bytes, offset: int) -> int:
    return int(struct.unpack_from(">I", data, offset)[0])


def _boxes(data: bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, first byte, end) of the contents of each MP4 box in data[begin:end]."""
    while begin < end:
        size, kind = struct.unpack_from(">I4s", data, begin)
        if size < 8:
            raise IndexError(f"a box of {size} bytes at {begin}")
        yield kind, begin + 8, begin + size
        begin += size


def _inside(data: bytes, place: tuple[int, int], *kinds: bytes) -> tuple[int, int]:
    """Return where the contents of the first box of `kinds`, one within the other, lie."""
    for wanted in kinds:
        found = [(begin, end) for kind, begin, end in _boxes(data, *place) if kind == wanted]
        place = found[0]
    return place
