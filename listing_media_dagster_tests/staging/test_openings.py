"""Windows, doors and what only looks like them, on the sample listing's photos and on walls painted from the front."""

from __future__ import annotations

from importlib.resources import files
from io import BytesIO

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from listing_media_dagster.staging.doorframes import gradient_of
from listing_media_dagster.staging.flat_wall import flatten_wall
from listing_media_dagster.staging.openings import find_openings
from listing_media_dagster.staging.room import Opening, PhotoCamera, Wall
from listing_media_dagster.staging.room_geometry import estimate_room_geometry
from listing_media_dagster_tests.helpers.box_rooms import camera_at

CEILING = 2.6
WALL = Wall("z", -4.0, 1, (-2.5, 2.5))
Box = tuple[float, float, float, float, tuple[int, int, int]]
PALE, DARK, GLASS = (200, 196, 190), (120, 90, 70), (235, 245, 250)


def photo_of(
    *boxes: tuple[float, float, float, float, tuple[int, int, int]],
) -> tuple[NDArray[np.float32], PhotoCamera]:
    """Return L*a*b* of a wall with boxes (left, right, bottom, top in m, colour), and the camera before it."""
    camera = camera_at(1.4, 0.0, 0.0, 0.0, 22.0, (960, 640))
    picture = np.full((640, 960, 3), 150, np.uint8)
    for left, right, bottom, top, colour in ((*WALL.span, 0.0, CEILING, PALE), *boxes):
        corners = camera.project(np.concatenate([WALL.points((left, right), bottom), WALL.points((right, left), top)]))
        cv2.fillConvexPoly(picture, np.round(corners).astype(np.int32), colour)
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), camera


def found_on(*boxes: tuple[float, float, float, float, tuple[int, int, int]]) -> tuple[Opening, ...]:
    return found_in(photo_of(*boxes)[0])


def found_in(lab: NDArray[np.float32]) -> tuple[Opening, ...]:
    camera = photo_of()[1]
    flat = flatten_wall(lab, 1.0, WALL, camera, CEILING)
    assert flat is not None
    return find_openings(flat, gradient_of(flat), WALL, camera)


def test_a_door_reaches_the_floor_and_not_the_ceiling() -> None:
    (door,) = found_on((-0.4, 0.5, 0.0, 2.05, DARK))
    assert door.kind == "door"
    assert door.span == pytest.approx((-0.4, 0.5), abs=0.08)
    assert door.top == pytest.approx(2.05, abs=0.1)


def test_a_window_over_a_radiator_as_wide_is_no_door() -> None:
    radiator = (-0.5, 0.5, 0.1, 0.65, (208, 204, 199))
    (window,) = found_on((-0.5, 0.5, 0.75, 2.1, GLASS), (-0.6, 0.6, 0.7, 0.75, DARK), radiator)
    assert window.kind == "window"
    assert 0.5 < window.bottom < 0.95


def test_a_wardrobe_up_to_the_ceiling_is_kept_free_and_is_no_door() -> None:
    (wardrobe,) = found_on((-1.0, 0.6, 0.0, CEILING, DARK))
    assert wardrobe.kind == "window"
    assert wardrobe.bottom == 0.0


def test_a_plain_wall_has_no_openings() -> None:
    assert found_on() == ()


@pytest.mark.parametrize(("name", "doors", "windows"), [("DSC_0412.JPG", 1, 3), ("DSC_0421.JPG", 0, 2)])
def test_sample_rooms_have_the_openings_that_were_built(name: str, doors: int, windows: int) -> None:
    """The bedroom's second window is its wardrobe; both rooms have radiators under their windows."""
    data = files("listing_media_dagster.sample_listing").joinpath("drop", name).read_bytes()
    rgb = np.array(Image.open(BytesIO(data)).convert("RGB").resize((1200, 800)))
    openings = [opening for wall in estimate_room_geometry(rgb).walls for opening in wall.openings]
    assert sum(opening.kind != "window" for opening in openings) == doors
    assert sum(opening.kind == "window" for opening in openings) == windows


def test_a_pane_that_shows_nothing_but_light_is_a_window() -> None:
    soft = cv2.GaussianBlur(photo_of((-0.6, 0.6, 0.9, 2.1, (255, 255, 255)))[0], (0, 0), 9)
    (window,) = found_in(soft)
    assert window.kind == "window"
    assert window.span == pytest.approx((-0.6, 0.6), abs=0.12)


def test_a_wall_that_is_white_all_over_has_no_window() -> None:
    lab = photo_of((*WALL.span, 0.0, CEILING, (255, 255, 255)))[0]
    assert found_in(lab) == ()


def test_a_wide_doorway_as_bright_as_the_day_is_glass() -> None:
    """Next door's rooms are dimmer; the frame's foot and head are all that edges show."""
    frame, day = (-0.9, 0.9, 0.0, 2.1, DARK), (-0.82, 0.82, 0.08, 2.02, (255, 255, 255))
    assert [opening.kind for opening in found_on(frame, day)] == ["window"]
    assert [opening.kind for opening in found_on(frame, (*day[:4], (190, 180, 170)))] == ["passage"]


def test_a_doors_casing_belongs_to_it() -> None:
    casing, leaf = (-0.55, 0.55, 0.0, 2.15, (240, 238, 234)), (-0.45, 0.45, 0.0, 2.05, DARK)
    (door,) = found_on(casing, leaf)
    assert door.kind == "door"
    assert door.span == pytest.approx((-0.55, 0.55), abs=0.05)


def framed_by(outer: tuple[float, float, float, float], colour: tuple[int, int, int], thick: float = 0.05) -> list[Box]:
    """A frame of `colour` round (left, right, bottom, top) m, filled with the wall's colour."""
    left, right, bottom, top = outer
    inner = (left + thick, right - thick, bottom + thick * (bottom > 0), top - thick, PALE)
    return [(*outer, colour), inner]


def test_a_white_double_door_on_a_white_wall_is_found_by_its_form() -> None:
    faint = (195, 191, 185)
    leaves = [*framed_by((-0.75, 0.75, 0.0, 2.3), faint), (-0.02, 0.02, 0.0, 2.25, faint)]
    panels = [box for left in (-0.6, 0.15) for box in framed_by((left, left + 0.45, 0.3, 1.9), faint)]
    (door,) = found_on(*leaves, *panels)
    assert door.kind == "door"
    assert door.span == pytest.approx((-0.75, 0.75), abs=0.08)
    assert door.top == pytest.approx(2.3, abs=0.12)


def test_mouldings_of_a_panelled_wall_are_no_doors() -> None:
    faint = (192, 188, 182)
    panels = [box for left in (-2.2, -1.1, 0.0, 1.1) for box in framed_by((left, left + 0.9, 0.25, 2.2), faint)]
    assert not any(opening.is_walked_through for opening in found_on(*panels))


def test_a_corner_up_to_the_ceiling_is_no_jamb() -> None:
    faint = (194, 190, 184)
    assert found_on((-0.5, 0.4, 0.0, CEILING, faint)) == ()


def test_a_small_recess_at_breast_height_is_a_niche_that_one_does_not_walk_through() -> None:
    (niche,) = found_on((-0.25, 0.25, 1.0, 1.6, (150, 145, 140)))
    assert niche.kind == "niche"
    assert not niche.is_walked_through
    assert niche.span == pytest.approx((-0.25, 0.25), abs=0.1)
    assert niche.bottom == pytest.approx(1.0, abs=0.1)
