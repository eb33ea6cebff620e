"""Hard surfaces keep to physics, take their colour from the kit, and are the same for the same seed."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from listing_media_dagster.path_tracer.materials import Material
from listing_media_dagster.staging.furniture.finishes import linear
from listing_media_dagster.staging.furniture.hard_surfaces import SURFACES

EVERY = pytest.mark.parametrize("name", SURFACES)
TILED = [
    "wood", "wood_dark", "reclaimed_wood", "veneer", "painted_wood", "marble", "travertine", "concrete", "ceramic",
    "glazed_ceramic", "wicker", "rattan", "lampshade", "bark", "soil", "paper", "canvas", "plush", "metal_brushed",
]  # fmt: skip
SHEETS = ["leaves", "book_covers", "toy_colours", "art_abstract", "art_lines", "art_botanical", "art_landscape"]
TERRACOTTA, NAVY = linear("#b9764e"), linear("#2f4550")


@cache
def made(name: str) -> Material:
    return SURFACES[name](TERRACOTTA, NAVY, 1)


def pixels(material: Material) -> np.ndarray:
    return np.atleast_3d(np.asarray(material.colour, np.float32)).reshape(-1, 3)


@EVERY
def test_reflectance_is_between_black_and_white(name: str) -> None:
    for shown in (pixels(made(name)), pixels(SURFACES[name]((0.9, 0.9, 0.9), NAVY, 4))):
        assert np.isfinite(shown).all()
        assert shown.min() >= 0
        assert shown.max() <= 0.99


@EVERY
def test_the_same_seed_gives_the_same_surface(name: str) -> None:
    assert np.array_equal(pixels(made(name)), pixels(SURFACES[name](TERRACOTTA, NAVY, 1)))


@pytest.mark.parametrize("name", TILED)
def test_a_surface_looks_like_its_colour_from_afar(name: str) -> None:
    """What a kit's palette says is what a buyer sees: the mean is near the colour asked for, in hue and lightness."""
    shown = pixels(SURFACES[name](TERRACOTTA, TERRACOTTA, 2)).mean(0)
    assert np.allclose(np.log(shown / TERRACOTTA), 0, atol=0.62), shown / TERRACOTTA
    assert shown[0] > shown[1] > shown[2]


@pytest.mark.parametrize("name", TILED)
def test_textures_repeat_without_a_seam(name: str) -> None:
    texture = made(name).colour
    if isinstance(texture, tuple):
        pytest.skip("plain")
    for picture in (texture, texture.transpose(1, 0, 2)):
        inside = np.abs(np.diff(picture, axis=0)).mean((1, 2))
        assert np.abs(picture[0] - picture[-1]).mean() <= 1.5 * inside.max()


@pytest.mark.parametrize("name", SHEETS)
def test_sheets_cover_one_metre_and_their_cells_differ(name: str) -> None:
    material = made(name)
    assert material.metres == 1.0
    sheet = np.asarray(material.colour)
    half = len(sheet) // 2
    assert not np.allclose(sheet[:half, :half], sheet[half:, half:], atol=0.01)


def test_pictures_paint_the_accent_on_the_colour() -> None:
    sand = linear("#e6dccb")
    for name in ("art_abstract", "art_lines", "art_botanical"):
        shown = pixels(SURFACES[name](sand, NAVY, 6))
        for wanted, least in ((sand, 0.3), (NAVY, 0.002)):
            near = np.abs(shown - np.asarray(wanted, np.float32)).max(1) < 0.06
            assert near.mean() > least, (name, wanted)


def test_cane_is_a_third_to_two_thirds_open() -> None:
    opacity = made("cane").opacity
    assert opacity is not None
    assert 0.2 < 1 - opacity.mean() < 0.67


def test_grain_runs_along_u() -> None:
    grain = np.asarray(made("wood").colour).mean(-1)
    along, across = np.abs(np.diff(grain, axis=1)).mean(), np.abs(np.diff(grain, axis=0)).mean()
    assert across > 1.5 * along


def test_the_path_tracer_loads_every_surface() -> None:
    mitsuba = pytest.importorskip("mitsuba")
    from listing_media_dagster.path_tracer.mitsuba_scene import bsdf

    for name in SURFACES:
        description = bsdf(made(name))
        assert mitsuba.load_dict(description) is not None, name
