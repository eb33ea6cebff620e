import cv2
import numpy as np
import pytest

from listing_media_dagster.staging.emptiness import find_bare_surfaces, measure_bareness, measure_variety

WALL, CEILING, BOARDS = (212, 208, 200), (226, 226, 224), (150, 104, 66)


def draw_room(*, things=(), size=(720, 480)):
    """A bare room seen along its axis: horizon at 45 % of the height, camera 1.4 m up, the room 4 m wide.

    things: (left, right, low, high, colour) in m on the far wall, x from its middle. Returns RGB and the floor's mask.
    """
    width, height = size
    horizon, scale = 0.45 * height, 0.17 * height / 1.4  # px a metre on the far wall

    def on_wall(x, y):
        return round(width / 2 + x * scale), round(horizon + (1.4 - y) * scale)

    (left, top), (right, bottom) = on_wall(-2.0, 2.6), on_wall(2.0, 0.0)
    rgb = np.full((height, width, 3), WALL, np.uint8)
    steep = (height - horizon) / (bottom - horizon)
    near = [round(width / 2 + (x - width / 2) * steep) for x in (left, right)]
    floor = np.array([(left, bottom), (right, bottom), (near[1], height), (near[0], height)])
    cv2.fillPoly(rgb, [floor], BOARDS)
    cv2.fillPoly(rgb, [np.array([(left, top), (right, top), (width, 0), (0, 0)])], CEILING)
    mask = cv2.fillPoly(np.zeros((height, width), np.uint8), [floor], 1).astype(bool)
    for x0, x1, low, high, colour in things:
        cv2.rectangle(rgb, on_wall(x0, high), on_wall(x1, low), colour, -1)
    grain = np.random.default_rng(1).normal(0, 2, rgb.shape)
    return np.clip(rgb + grain, 0, 255).astype(np.uint8), mask


def test_the_floor_of_a_bare_room_is_found_whole():
    rgb, true = draw_room()
    found = cv2.resize(find_bare_surfaces(rgb).floor.astype(np.uint8), true.shape[::-1]).astype(bool)
    assert (found & true).sum() / (found | true).sum() > 0.95


def test_a_patch_of_sun_stays_floor():
    rgb, true = draw_room()
    sun = cv2.fillPoly(np.zeros(true.shape, np.uint8), [np.array([(300, 380), (420, 380), (470, 440), (320, 440)])], 1)
    lit = np.where((sun > 0)[..., None], np.clip(rgb * 1.5, 0, 255), rgb).astype(np.uint8)
    found = cv2.resize(find_bare_surfaces(lit).floor.astype(np.uint8), true.shape[::-1]).astype(bool)
    assert (found & true).sum() / (found | true).sum() > 0.95


def test_the_breadth_of_the_floor_is_measured_in_metres_without_a_focal_length():
    measured = measure_bareness(find_bare_surfaces(draw_room()[0]))
    assert measured["floor_breadth"] == pytest.approx(4.0, rel=0.1)


def test_a_thing_that_stands_before_the_walls_is_told_from_the_rooms_own_corners():
    sofa = (-1.6, 0.2, -0.6, 0.5, (170, 160, 140))
    assert measure_bareness(find_bare_surfaces(draw_room()[0]))["before_walls"] == 0
    along_the_wall = measure_bareness(find_bare_surfaces(draw_room(things=[(-1.6, 0.2, 0.0, 0.9, sofa[-1])])[0]))
    assert along_the_wall["before_walls"] == 0
    standing = measure_bareness(find_bare_surfaces(draw_room(things=[sofa])[0]))
    assert standing["before_walls"] == pytest.approx(1.8 * 0.17 * 480 / 1.4 / 720, rel=0.2)


def test_a_thing_along_the_wall_is_counted_by_its_height():
    bare = measure_bareness(find_bare_surfaces(draw_room()[0]))
    cabinets = [(-1.8, 1.8, 0.0, 0.9, (90, 60, 40))]
    fitted = measure_bareness(find_bare_surfaces(draw_room(things=cabinets)[0]))
    tall = measure_bareness(find_bare_surfaces(draw_room(things=[(-1.8, 1.8, 0.0, 2.6, (90, 60, 40))])[0]))
    assert bare["worktops"] < 0.02 and bare["bare_walls"] > 0.9
    assert fitted["worktops"] > 0.2 and fitted["bare_walls"] < bare["bare_walls"] - 0.2
    assert tall["worktops"] < 0.05 and tall["bare_walls"] > 0.8  # a wardrobe or a coloured wall: one plane to eye level


def test_joints_of_tiles_are_seen_where_grain_is_not():
    rgb, _ = draw_room()
    tiled = rgb.copy()
    for x in range(0, 720, 24):
        cv2.line(tiled, (x, 60), (x, 285), (190, 186, 178), 1)
    for y in range(60, 285, 18):
        cv2.line(tiled, (0, y), (719, y), (190, 186, 178), 1)
    plain, joints = (measure_bareness(find_bare_surfaces(image))["fine_lines"] for image in (rgb, tiled))
    assert plain < 0.08 < 0.12 < joints


def test_exposure_hardly_changes_what_is_measured():
    rgb, _ = draw_room()
    once, again = (measure_bareness(find_bare_surfaces(image)) for image in (rgb, (rgb * 0.6).astype(np.uint8)))
    assert again["bare_walls"] == pytest.approx(once["bare_walls"], abs=0.05)
    assert again["things_on_floor"] == pytest.approx(once["things_on_floor"], abs=0.02)


def test_the_same_photo_is_measured_the_same():
    rgb, _ = draw_room()
    assert measure_bareness(find_bare_surfaces(rgb)) == measure_bareness(find_bare_surfaces(rgb))


def test_a_bare_wall_has_no_variety_and_a_heap_of_colours_and_shapes_has_much():
    assert measure_variety(np.full((400, 600, 3), 200, np.uint8)) < 0.1
    heap = np.random.default_rng(3).integers(0, 255, (20, 30, 3), np.uint8).repeat(20, 0).repeat(20, 1)
    assert measure_variety(heap) > 0.9
