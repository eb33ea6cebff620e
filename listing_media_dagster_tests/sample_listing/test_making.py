"""The fast parts of the scripts that made the sample listing."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from listing_media_dagster.path_tracer import denoise, solids, textures
from listing_media_dagster.sample_listing import develop, joinery, make, render, rooms, scene

ROOMS = (rooms.living_room, rooms.bedroom, rooms.kitchen, rooms.dining_room, rooms.hallway, rooms.bathroom)


@pytest.fixture
def small_textures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rooms with textures of 128 px: same geometry, a tenth of the time."""
    for name in ("wood_planks", "tiles", "veneer", "stone", "linen", "plaster"):
        made = getattr(textures, name)
        monkeypatch.setattr(textures, name, lambda size, *rest, _made=made, **named: _made(128, *rest, **named))


def shot(**changes: object) -> develop.Shot:
    return replace(develop.Shot(1.0, Fraction(1, 60), datetime(2026, 5, 14, 10, 0)), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "texture",
    [
        lambda seed: textures.plaster(64, seed, (0.7, 0.7, 0.7)),
        lambda seed: textures.wood_planks(256, seed, 1.2, 0.15, (0.2, 0.1, 0.05), (0.5, 0.3, 0.2))[0],
        lambda seed: textures.tiles(128, seed, (4, 2), (0.7, 0.7, 0.7), (0.4, 0.4, 0.4), offset=True)[0],
        lambda seed: textures.brick(128, seed)[0],
        lambda seed: textures.shingles(128, seed)[0],
        lambda seed: textures.grass(64, seed),
    ],
)
def test_textures_are_reflectances_decided_by_their_seed(texture: Callable[[int], np.ndarray]) -> None:
    first, again, other = texture(1), texture(1), texture(2)
    assert first.dtype == np.float32
    assert first.min() >= 0 and first.max() <= 1
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_box_is_closed_and_its_normals_point_outward() -> None:
    box = solids.box("wood", (0, 0, 0), (1, 2, 3), 0.1)
    edges = np.sort(np.concatenate([box.faces[:, [0, 1]], box.faces[:, [1, 2]], box.faces[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    assert (((box.vertices - [0.5, 1.0, 1.5]) * box.normals).sum(1) > 0).all()


def test_window_opening_is_cut_out_of_the_wall() -> None:
    wall = solids.panel_with_openings("wall", 4.0, 2.5, [(1.0, 0.5, 2.0, 2.0)])
    corners = wall.vertices[wall.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert area == pytest.approx(4.0 * 2.5 - 1.0 * 1.5)


@pytest.mark.parametrize(
    ("side", "inward"), [("north", (0, 0, 1)), ("south", (0, 0, -1)), ("east", (-1, 0, 0)), ("west", (1, 0, 0))]
)
def test_walls_face_into_the_room(side: str, inward: tuple[float, float, float]) -> None:
    (wall,) = joinery.on_wall([solids.panel_with_openings("wall", 1.0, 1.0, [])], side, 4.0, 5.0)
    assert wall.normals == pytest.approx(np.tile(inward, (4, 1)))


def test_camera_axes_follow_yaw_pitch_and_roll() -> None:
    right, up, forward = scene.Camera((0, 1.4, 0), 90.0, 0.0, 0.0, 18.0).axes()
    assert forward == pytest.approx((1, 0, 0), abs=1e-9)
    assert right == pytest.approx((0, 0, 1), abs=1e-9)
    assert up == pytest.approx((0, 1, 0), abs=1e-9)
    tilted = scene.Camera((0, 1.4, 0), 20.0, -3.0, 1.0, 18.0)
    assert np.degrees(np.arcsin(tilted.axes()[2][1])) == pytest.approx(-3.0)
    middle = tilted.directions(301, 201)[100, 150]
    assert middle == pytest.approx(tilted.axes()[2], abs=1e-5)


@pytest.mark.usefixtures("small_textures")
@pytest.mark.parametrize("build", ROOMS, ids=lambda build: build.__name__)
def test_rooms_have_a_material_for_every_part_and_the_camera_inside(build: Callable[[], rooms.Room]) -> None:
    room = build()
    assert {piece.material for piece in room.scene.parts} <= set(room.scene.materials)
    assert all(np.isfinite(piece.vertices).all() and np.isfinite(piece.normals).all() for piece in room.scene.parts)
    assert all(0 < at < size for at, size in zip(room.camera.position, room.size, strict=True))


def test_noise_free_neighbours_pull_a_speckled_wall_together_but_not_across_an_edge() -> None:
    rng = np.random.default_rng(0)
    truth = np.ones((40, 60, 3), np.float32)
    truth[:, 30:] = 4.0
    normal = np.zeros_like(truth)
    normal[:, :30, 2], normal[:, 30:, 0] = 1, 1
    position = np.stack([*np.meshgrid(np.linspace(0, 3, 60), np.linspace(0, 2, 40)), np.zeros((40, 60))], -1).astype(
        np.float32
    )
    seen = denoise.Surfaces(truth, normal, position, {}, truth[..., 0])
    halves = [truth + rng.normal(0, 0.4, truth.shape).astype(np.float32) for _ in range(2)]
    clean = denoise.denoise(halves[0], halves[1], seen, (1.5, 1, 3))
    before, after = np.abs((halves[0] + halves[1]) / 2 - truth).mean(), np.abs(clean - truth).mean()
    assert after < before / 3
    assert clean[:, 28].mean() < 1.3 and clean[:, 31].mean() > 3.6


def test_two_stops_more_light_is_brighter_and_the_same_seed_the_same_photo() -> None:
    radiance = np.full((32, 48, 3), 0.05, np.float32)
    dark, same, bright = (develop.expose(radiance, shot(gain=gain)) for gain in (1.0, 1.0, 4.0))
    assert np.array_equal(dark, same)
    assert bright.mean() > dark.mean() + 30
    assert dark[16, 24].mean() > dark[0, 0].mean()  # corners fall off


def test_jpeg_carries_the_exposure_and_orientation_of_the_shot() -> None:
    pixels = np.zeros((8, 12, 3), np.uint8)
    with Image.open(io.BytesIO(develop.jpeg(pixels, shot(exposure_time=Fraction(2, 5), orientation=6)))) as image:
        exif = image.getexif()
        details = exif.get_ifd(0x8769)
    assert exif[0x0112] == 6
    assert float(details[0x829A]) == pytest.approx(0.4)
    assert details[0x9003] == "2026:05:14 10:00:00"


def test_shake_turns_the_camera_by_the_angle_asked_for() -> None:
    radiance = np.zeros((60, 90, 3), np.float32)
    radiance[30, 45] = 1
    focal = 500.0
    moved = develop.shaken(radiance, focal, 0.0, 0.5, 0.0)[..., 0]
    x = (moved * np.arange(90)).sum() / moved.sum()
    assert abs(x - 45) == pytest.approx(focal * np.tan(np.radians(0.5)), abs=0.2)


@pytest.mark.usefixtures("small_textures")
def test_broken_copy_is_cut_short() -> None:
    picture = next(picture for picture in make.PICTURES if picture.file == "DSC_0412.JPG")
    files = make.files_of(picture, np.full((400, 600, 3), 0.1, np.float32), rooms.living_room().camera)
    with Image.open(io.BytesIO(files["DSC_0412.JPG"])) as image:
        image.load()
    with Image.open(io.BytesIO(files[make.BROKEN])) as image, pytest.raises(OSError):
        image.load()


@pytest.mark.usefixtures("small_textures")
def test_a_tiny_room_renders_with_light_on_the_floor_and_a_window() -> None:
    pytest.importorskip("mitsuba")
    room = rooms.hallway()
    quality = render.Quality((24, 32), 2, 1, {"day": 2, "lamp": 2}, 3)
    groups, seen = render.light_groups(room.scene, room.camera, quality)
    assert set(groups) == {"day", "lamp"}
    assert groups["lamp"].shape == (32, 24, 3)
    assert np.isfinite(groups["lamp"]).all()
    assert groups["lamp"][24:].mean() > 1e-4  # the floor is lit
    assert 0.0 < seen.lights["day"].mean() < 0.2  # the door's glass, and nothing else
    assert seen.hit.min() == pytest.approx(1.0)  # a closed room
