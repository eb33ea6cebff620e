from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from listing_media_dagster.path_tracer.materials import Material
from listing_media_dagster.staging.furniture.fabrics import SURFACES

COLOUR, ACCENT = (0.42, 0.36, 0.28), (0.08, 0.12, 0.20)
ONE_COLOUR = sorted(set(SURFACES) - {"stripes", "plaid", "rug_geometric", "rug_stripe", "rug_border", "rug_vintage"})
TWO_COLOURS = ("stripes", "plaid", "rug_geometric", "rug_stripe", "rug_border", "rug_vintage")


@cache
def _material(name: str) -> Material:
    return SURFACES[name](COLOUR, ACCENT, 1)


@pytest.mark.parametrize("name", ONE_COLOUR)
def test_a_plain_fabric_is_as_light_as_its_colour(name: str):
    picture = np.asarray(_material(name).colour)
    assert np.allclose(picture.mean((0, 1)), COLOUR, rtol=0.05)


@pytest.mark.parametrize("name", sorted(SURFACES))
def test_textures_reflect_what_cloth_can_and_tile(name: str):
    material = _material(name)
    picture = np.asarray(material.colour)
    assert picture.dtype == np.float32
    assert picture.min() > 0
    assert picture.max() <= 0.9
    assert max(picture.shape) <= 1024
    inner = np.abs(np.diff(picture, axis=1)).mean(), np.abs(np.diff(picture, axis=0)).mean()
    seam = np.abs(picture[:, 0] - picture[:, -1]).mean(), np.abs(picture[0] - picture[-1]).mean()
    assert seam[0] < 2.5 * inner[0] + 0.01
    assert seam[1] < 2.5 * inner[1] + 0.01


@pytest.mark.parametrize("name", sorted(SURFACES))
def test_relief_stays_modest(name: str):
    """Steep bump maps come out black or NaN at grazing angles."""
    material = _material(name)
    if material.relief is not None:
        pixel = material.metres / material.relief.shape[0]
        slopes = np.abs(np.diff(material.relief * material.depth, axis=1)) / pixel
        assert slopes.mean() < 0.7
        assert material.relief.min() >= 0
        assert material.relief.max() <= 1


@pytest.mark.parametrize("name", ["linen", "boucle", "leather", "rug_pile", "knit", "wool"])
def test_a_fabric_still_varies_when_seen_from_across_the_room(name: str):
    """At 4 mm a pixel, as a sofa is in a listing photo, a fabric isn't a flat colour."""
    material = _material(name)
    grey = np.asarray(material.colour).mean(-1)
    step = max(1, round(0.004 / (material.metres / len(grey))))
    size = len(grey) // step * step
    seen = grey[:size, :size].reshape(size // step, step, size // step, step).mean((1, 3))
    assert seen.std() / seen.mean() > 0.01


@pytest.mark.parametrize("name", TWO_COLOURS)
def test_a_pattern_shows_both_its_colours(name: str):
    picture = np.asarray(_material(name).colour)
    warmth = picture[..., 0] / picture[..., 2]  # 1.5 of the colour, 0.4 of the accent
    assert (warmth < 0.8).mean() > 0.02
    assert (warmth > 1.1).mean() > 0.05


def test_the_same_seed_weaves_the_same_cloth_and_another_seed_another():
    first, again, other = (np.asarray(SURFACES["linen"](COLOUR, COLOUR, seed).colour) for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
