"""Generated clips in the film: kept as MP4, slowed to the shot's length, and named in what the film is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.tour.camera import Mat
from listing_media_dagster.tour.clips import BadClip, ClipPlayer, read_clip, write_clip
from listing_media_dagster.tour.plates import new_frame, rgb_of
from listing_media_dagster.tour.render import draw_segment, render_tour
from listing_media_dagster.tour.storyboard import PhotoClip, build_storyboard
from listing_media_dagster_tests.tour.film import SIZE, TITLES, Home, SegmentFolder, photo

Rgb = NDArray[np.uint8]


def panning(count: int, step: int = 4, width: int = 160, height: int = 96) -> list[Rgb]:
    """Return frames of a camera that moves `step` px a frame over a picture."""
    wide = photo(3, width + step * count, height)
    return [np.ascontiguousarray(wide[:, step * number : step * number + width]) for number in range(count)]


def apart(one: Rgb, other: Rgb) -> float:
    inner = (slice(8, -8), slice(16, -16))
    return float(np.abs(one[inner].astype(float) - other[inner]).mean())


def shown(player: ClipPlayer, share: float, mat: Mat) -> Rgb:
    frame = new_frame((mat.width, mat.height))
    player.draw(share, frame, mat)
    return rgb_of(frame)


def test_a_clip_comes_back_as_it_was_written(tmp_path: Path) -> None:
    frames = panning(5)
    write_clip(frames, tmp_path / "clip.mp4", 8)
    again = read_clip(tmp_path / "clip.mp4")
    assert len(again) == 5
    assert all(apart(rgb_of(frame), rgb) < 4 for frame, rgb in zip(again, frames, strict=True))


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        write_clip(panning(4), tmp_path / name, 8)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


@pytest.mark.parametrize("data", [b"", b"no film at all"])
def test_what_is_no_clip_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(data)
    with pytest.raises(BadClip, match=r"clip\.mp4"):
        read_clip(tmp_path / "clip.mp4")


def test_between_two_frames_things_are_halfway_instead_of_seen_twice(tmp_path: Path) -> None:
    frames = panning(9, step=4)
    write_clip(frames[::2], tmp_path / "clip.mp4", 8)  # every second one: 8 px apart
    mat = Mat(0, 0, 160, 96)
    made = shown(ClipPlayer(read_clip(tmp_path / "clip.mp4")), 1 / 8, mat)
    faded = ((frames[0].astype(np.uint16) + frames[2]) // 2).astype(np.uint8)
    assert apart(made, frames[1]) < 0.4 * apart(faded, frames[1])


def test_a_shot_with_a_clip_shows_it_in_place_of_the_camera_move(tmp_path: Path) -> None:
    home = Home(2)
    write_clip(panning(6), tmp_path / "clip.mp4", 8)
    shots = [replace(shot, clip_sha256="c" * 64) if shot.photo_id == "photo-0" else shot for shot in home.shots]
    plain, film = (build_storyboard(each, TITLES, size=SIZE, fps=10) for each in (home.shots, shots))
    kept = SegmentFolder(tmp_path / "kept")
    made = render_tour(
        film,
        home.load,
        tmp_path / "tour.mp4",
        cached_segment=kept.cached,
        keep_segment=kept.keep,
        workers=1,
        find_clip=lambda photo_id: tmp_path / "clip.mp4",
    )
    assert made.frames == plain.frames
    changed = {segment.fingerprint for segment in film.segments} - {segment.fingerprint for segment in plain.segments}
    own = [segment for segment in film.segments if segment.fingerprint in changed and segment.incoming is None]
    assert {each.clip.shot.photo_id for each in own if isinstance(each.clip, PhotoClip)} == {"photo-0"}
    packed = next(draw_segment(own[-1], home.load, find_clip=lambda photo_id: tmp_path / "clip.mp4")).copy()
    still = next(draw_segment(own[-1], home.load)).copy()
    assert np.abs(packed.astype(int) - still).mean() > 5
