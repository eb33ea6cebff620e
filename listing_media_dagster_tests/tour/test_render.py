"""The finished file: every frame once and in its place, exact time stamps, players' tags, reuse of what is known."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from listing_media_dagster.tour.render import draw_segment, poster, render_tour
from listing_media_dagster.tour.storyboard import build_storyboard
from listing_media_dagster_tests.tour.film import SIZE, TITLES, Home, SegmentFolder, photo

av = pytest.importorskip("av")


def film(home, store, output, **options):
    board = build_storyboard(home.shots, TITLES, size=SIZE, seconds_per_photo=1.2, **options)
    result = render_tour(board, home.load, output, cached_segment=store.cached, keep_segment=store.keep)
    return board, result


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    home, store = Home(3), SegmentFolder(folder / "segments")
    home.add("portrait", photo(9, 300, 460))
    board, result = film(home, store, folder / "tour.mp4", branded=True)
    return home, store, board, result, folder / "tour.mp4"


def test_every_frame_is_there_once_and_in_its_place(rendered):
    home, _, board, result, path = rendered
    drawn = [picture.copy() for segment in board.segments for picture in draw_segment(segment, home.load)]
    with av.open(str(path)) as container:
        shown = [frame.to_ndarray() for frame in container.decode(video=0)]
    assert len(shown) == len(drawn) == board.frames == result.frames

    def difference(first, second):
        return np.abs(first[: SIZE[1]].astype(np.int16) - second[: SIZE[1]]).mean()

    for index, picture in enumerate(shown):
        assert difference(picture, drawn[index]) < 4
        for other in (index - 3, index + 3):  # neighbours are nearly alike; three frames on, the camera has moved
            if 0 <= other < len(drawn) and difference(drawn[index], drawn[other]) > 4:
                assert difference(picture, drawn[index]) < difference(picture, drawn[other])


def test_time_stamps_are_exact_across_joins(rendered):
    _, _, board, _, path = rendered
    with av.open(str(path)) as container:
        stamps = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert stamps == [Fraction(index, 30) for index in range(board.frames)]
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    decoding = [packet.dts for packet in packets]
    assert decoding == sorted(set(decoding))
    assert all(packet.pts >= packet.dts for packet in packets)


def test_each_segment_starts_with_a_key_frame_so_seeking_lands_on_cuts(rendered):
    _, _, board, _, path = rendered
    with av.open(str(path)) as container:
        keys = {round(p.pts * p.time_base * 30) for p in container.demux(video=0) if p.size and p.is_keyframe}
    starts = np.cumsum([0, *(segment.frames for segment in board.segments[:-1])])
    assert set(starts.tolist()) <= keys


def test_seeking_anywhere_decodes_the_right_frame(rendered):
    _, _, board, _, path = rendered
    with av.open(str(path)) as container:
        whole = [frame.to_ndarray() for frame in container.decode(video=0)]
    for index in range(5, board.frames, 23):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            container.seek(int(Fraction(index, 30) / stream.time_base), stream=stream)
            found = next(f for f in container.decode(video=0) if f.pts * f.time_base >= Fraction(index, 30))
        assert np.array_equal(found.to_ndarray(), whole[index])


def test_file_is_what_players_and_portals_expect(rendered):
    _, _, board, _, path = rendered
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        context = video.codec_context
        assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
        assert (context.width, context.height) == SIZE and video.average_rate == 30
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert (audio.codec_context.name, audio.rate, audio.channels) == ("aac", 48_000, 2)
        assert abs(float(audio.duration * audio.time_base) - board.seconds) < 0.05
        assert abs(float(video.duration * video.time_base) - board.seconds) < 0.001
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat"), (
        "the index must come first, or nothing plays until all is loaded"
    )


def test_second_run_encodes_nothing_and_gives_the_same_bytes(rendered, tmp_path):
    home, store, board, first, path = rendered
    loaded = len(home.loaded)
    again = render_tour(
        board, home.load, tmp_path / "again.mp4", cached_segment=store.cached, keep_segment=store.keep, workers=1
    )
    assert (again.encoded_segments, again.reused_segments) == (0, len(board.segments))
    assert len(home.loaded) == loaded, "a film of known segments needs no photo"
    assert (tmp_path / "again.mp4").read_bytes() == path.read_bytes()
    assert first.encoded_segments == len(board.segments)


def test_workers_dont_change_the_film(rendered, tmp_path):
    home, _, board, _, path = rendered
    render_tour(
        board,
        home.load,
        tmp_path / "alone.mp4",
        cached_segment=lambda _: None,
        keep_segment=lambda *_: None,
        workers=1,
    )
    assert (tmp_path / "alone.mp4").read_bytes() == path.read_bytes()


def test_added_photo_costs_its_own_segments(tmp_path):
    home, store = Home(5), SegmentFolder(tmp_path / "segments")
    film(home, store, tmp_path / "tour.mp4")
    home.add("new", photo(77))
    home.loaded.clear()
    board, result = film(home, store, tmp_path / "tour.mp4")
    assert 3 <= result.encoded_segments <= 5
    assert result.reused_segments == len(board.segments) - result.encoded_segments
    assert "new" in home.loaded and len(set(home.loaded)) <= 3
    with av.open(str(tmp_path / "tour.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == board.frames


def test_photo_is_loaded_about_once(tmp_path):
    home = Home(6)
    film(home, SegmentFolder(tmp_path / "segments"), tmp_path / "tour.mp4")
    assert len(home.loaded) <= 7


def test_damaged_or_foreign_cached_segment_is_made_again(rendered, tmp_path):
    home, store, board, _, path = rendered
    damaged = SegmentFolder(tmp_path / "segments")
    names = [segment.fingerprint for segment in board.segments]
    for name in names:
        damaged.keep(name, store.cached(name))
    (damaged.folder / f"{names[0]}.mp4").write_bytes(b"not a film")
    whole = (damaged.folder / f"{names[1]}.mp4").read_bytes()
    (damaged.folder / f"{names[1]}.mp4").write_bytes(whole[: len(whole) // 2])
    (damaged.folder / f"{names[2]}.mp4").write_bytes(store.cached(names[3]).read_bytes())  # another number of frames
    result = render_tour(
        board, home.load, tmp_path / "tour.mp4", cached_segment=damaged.cached, keep_segment=damaged.keep
    )
    assert result.encoded_segments == 3
    assert (tmp_path / "tour.mp4").read_bytes() == path.read_bytes()


def test_failing_photo_leaves_the_old_film_and_no_litter(tmp_path):
    home, store = Home(3), SegmentFolder(tmp_path / "segments")
    (tmp_path / "tour.mp4").write_bytes(b"the film of yesterday")
    home.add("lost", photo(5))
    board = build_storyboard(home.shots, TITLES, size=SIZE, seconds_per_photo=1.2)

    def load(photo_id):
        if photo_id == "lost":
            raise OSError("the store is away")
        return home.load(photo_id)

    with pytest.raises(OSError, match="the store is away"):
        render_tour(board, load, tmp_path / "tour.mp4", cached_segment=store.cached, keep_segment=store.keep)
    assert (tmp_path / "tour.mp4").read_bytes() == b"the film of yesterday"
    assert {path.name for path in tmp_path.iterdir()} == {"tour.mp4", "segments"}


def test_photo_of_another_size_is_refused(tmp_path):
    home, store = Home(1), SegmentFolder(tmp_path / "segments")
    board = build_storyboard(home.shots, TITLES, size=SIZE, seconds_per_photo=1.2)
    home.photos["photo-0"] = photo(0, 200, 200)
    with pytest.raises(ValueError, match="photo-0"):
        render_tour(board, home.load, tmp_path / "x.mp4", cached_segment=store.cached, keep_segment=store.keep)


def test_progress_counts_frames_to_the_last(tmp_path):
    home, store, seen = Home(2), SegmentFolder(tmp_path / "segments"), []
    board = build_storyboard(home.shots, TITLES, size=SIZE, seconds_per_photo=1.2)
    render_tour(
        board,
        home.load,
        tmp_path / "tour.mp4",
        cached_segment=store.cached,
        keep_segment=store.keep,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[0] == (0, board.frames) and seen[-1] == (board.frames, board.frames)
    assert seen == sorted(seen)


def test_sound_can_be_mixed_in(tmp_path):
    home, store = Home(1), SegmentFolder(tmp_path / "segments")
    board = build_storyboard(home.shots, TITLES, size=SIZE, seconds_per_photo=1.2)

    def tone(seconds):
        wave = 0.5 * np.sin(np.arange(round(seconds * 48_000)) * 2 * np.pi * 440 / 48_000).astype(np.float32)
        yield from np.array_split(np.stack([wave, wave]), 7, axis=1)

    output = tmp_path / "tour.mp4"
    render_tour(board, home.load, output, cached_segment=store.cached, keep_segment=store.keep, sound=tone)
    with av.open(str(output)) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert abs(heard.size / 48_000 - board.seconds) < 0.05
    assert 0.3 < np.sqrt((heard[9600:-9600] ** 2).mean()) < 0.4


def test_poster_shows_the_first_photo(rendered):
    home, _, board, _, _ = rendered
    rgb = poster(board, home.load)
    assert rgb.shape == (SIZE[1], SIZE[0], 3) and rgb.dtype == np.uint8
    first = board.photo_clips[0]
    crop = first.path.at(0.5)
    source = home.photos[first.shot.photo_id]
    part = source[int(crop.y) : int(crop.y + crop.height), int(crop.x) : int(crop.x + crop.width)]
    assert np.abs(part.mean(axis=(0, 1)) - rgb.mean(axis=(0, 1))).max() < 4


def test_vertical_film_is_made_of_the_same_photos(tmp_path):
    home, store = Home(2), SegmentFolder(tmp_path / "segments")
    board = build_storyboard(home.shots, TITLES, size=(180, 320), seconds_per_photo=1.2)
    render_tour(board, home.load, tmp_path / "v.mp4", cached_segment=store.cached, keep_segment=store.keep)
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {(180, 320)}


def test_an_altered_photo_says_so_in_every_frame_that_shows_it_alone():
    home = Home(2)
    plain, marked = home.shots
    board = build_storyboard([plain, replace(marked, label="Virtually staged")], TITLES, size=SIZE)
    bare = build_storyboard([plain, marked], TITLES, size=SIZE)
    pairs = zip(board.segments, bare.segments, strict=True)
    changed = [(with_label, without) for with_label, without in pairs if with_label.clip != without.clip]
    assert changed and all(with_label.clip.shot.label for with_label, _ in changed)
    for with_label, without in changed:
        assert with_label.fingerprint != without.fingerprint
        if with_label.incoming is None:
            for drawn, plainly in zip(
                draw_segment(with_label, home.load), draw_segment(without, home.load), strict=True
            ):
                differs = drawn[: SIZE[1]] != plainly[: SIZE[1]]
                rows, columns = np.nonzero(differs)
                assert rows.min() > 0.8 * SIZE[1] and columns.max() < 0.6 * SIZE[0]
                assert drawn[: SIZE[1]][differs].max() > 150
