"""The camera stays inside the photo, moves smoothly and doesn't blow small photos up."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from listing_media_dagster.listing import RoomType
from listing_media_dagster.tour.camera import (
    MAX_UPSCALE,
    Move,
    camera_path,
    ease,
    fitting_moves,
    mat_for,
)

sides = st.integers(320, 11_000)
rooms = st.sampled_from(list(RoomType))
sizes = st.sampled_from([(1920, 1080), (1080, 1920), (1280, 720), (1080, 1080)])
seconds = st.floats(1.2, 20)
STEPS = 60


def crops(path):
    return [path.at(step / STEPS) for step in range(STEPS + 1)]


@given(sides, sides, rooms, sizes, seconds, st.sampled_from(list(Move)))
def test_no_move_ever_leaves_the_photo(width, height, room, size, seconds, move):
    mat = mat_for(width, height, room, size)
    for crop in crops(camera_path(move, width, height, mat, seconds, room)):
        assert crop.x >= -1e-6 and crop.y >= -1e-6
        assert crop.x + crop.width <= width + 1e-6 and crop.y + crop.height <= height + 1e-6


@given(sides, sides, rooms, sizes, seconds, st.sampled_from(list(Move)))
def test_every_crop_has_the_shape_of_the_mat_so_nothing_is_stretched(width, height, room, size, seconds, move):
    mat = mat_for(width, height, room, size)
    for crop in crops(camera_path(move, width, height, mat, seconds, room)):
        assert abs(crop.width * mat.height - crop.height * mat.width) < 1e-6 * crop.width * mat.height


@given(sides, sides, rooms, sizes, seconds, st.sampled_from(list(Move)))
def test_no_photo_is_enlarged_beyond_the_limit(width, height, room, size, seconds, move):
    mat = mat_for(width, height, room, size)
    rounding = 1 + 2 / min(mat.width, mat.height)  # the mat has even sides
    for crop in crops(camera_path(move, width, height, mat, seconds, room)):
        assert mat.width / crop.width <= MAX_UPSCALE * rounding


@given(sides, sides, rooms, sizes)
def test_the_mat_lies_on_even_pixels_inside_the_frame(width, height, room, size):
    mat = mat_for(width, height, room, size)
    assert all(side % 2 == 0 for side in (mat.x, mat.y, mat.width, mat.height))
    assert mat.x >= 0 and mat.y >= 0 and mat.x + mat.width <= size[0] and mat.y + mat.height <= size[1]


@given(sides, sides, rooms, sizes, seconds)
def test_speed_never_jumps(width, height, room, size, seconds):
    mat = mat_for(width, height, room, size)
    for move in fitting_moves(width, height, room, size):
        path = camera_path(move, width, height, mat, seconds, room)
        for corner in (lambda crop: crop.x, lambda crop: crop.y, lambda crop: crop.x + crop.width):
            places = [corner(crop) for crop in crops(path)]
            speeds = [after - before for before, after in itertools.pairwise(places)]
            jumps = [abs(after - before) for before, after in itertools.pairwise(speeds)]
            # A bend of the ease spreads its change of speed over the shot; a corner would put it into one step.
            assert max(jumps, default=0.0) <= 0.12 * max(1e-6, *map(abs, speeds)) + 1e-9


def test_ease_runs_from_start_to_end_without_ever_standing_still():
    values = [ease(step / 200) for step in range(201)]
    steps = [after - before for before, after in itertools.pairwise(values)]
    assert values[0] == 0.0 and values[-1] == 1.0
    assert min(steps) > 0.3 / 200 and max(steps) < 1.4 / 200


def test_each_move_does_what_its_name_says():
    mat = mat_for(3000, 2000, RoomType.LIVING_ROOM, (1920, 1080))
    paths = {move: camera_path(move, 3000, 2000, mat, 4.0) for move in Move}
    assert paths[Move.PUSH_IN].end.width < 0.93 * paths[Move.PUSH_IN].start.width
    assert paths[Move.PULL_OUT].end.width > 1.07 * paths[Move.PULL_OUT].start.width
    assert paths[Move.PAN_RIGHT].end.x > paths[Move.PAN_RIGHT].start.x + 100
    assert paths[Move.PAN_LEFT].end.x < paths[Move.PAN_LEFT].start.x - 100
    assert paths[Move.TILT_UP].end.y < paths[Move.TILT_UP].start.y - 100
    assert paths[Move.DRIFT_UP_RIGHT].end.x > paths[Move.DRIFT_UP_RIGHT].start.x + 100
    assert paths[Move.DRIFT_UP_RIGHT].end.y < paths[Move.DRIFT_UP_RIGHT].start.y - 50


def test_landscape_fills_the_frame_and_portrait_gets_a_mat():
    full = mat_for(3000, 2000, RoomType.KITCHEN, (1920, 1080))
    portrait = mat_for(2000, 3000, RoomType.KITCHEN, (1920, 1080))
    assert (full.width, full.height) == (1920, 1080)
    assert portrait.height == 1080 and portrait.width < 1000


def test_small_photo_fills_the_frame_but_a_tiny_one_is_matted():
    assert mat_for(1024, 768, RoomType.KITCHEN, (1920, 1080)).width == 1920
    assert mat_for(640, 480, RoomType.KITCHEN, (1920, 1080)).width <= 640 * MAX_UPSCALE


def test_floor_plan_is_shown_whole_and_still():
    mat = mat_for(2000, 2600, RoomType.FLOOR_PLAN, (1920, 1080))
    assert fitting_moves(2000, 2600, RoomType.FLOOR_PLAN, (1920, 1080)) == (Move.STILL,)
    path = camera_path(Move.STILL, 2000, 2600, mat, 4.0, RoomType.FLOOR_PLAN)
    assert path.start == path.end
    assert path.start.width * path.start.height > 0.99 * 2000 * 2600


def test_outside_views_keep_their_roof():
    mat = mat_for(3000, 2000, RoomType.EXTERIOR_FRONT, (1920, 1080))
    crop = camera_path(Move.PULL_OUT, 3000, 2000, mat, 4.0, RoomType.EXTERIOR_FRONT).end
    above, below = crop.y, 2000 - crop.y - crop.height
    assert above < 0.3 * below
