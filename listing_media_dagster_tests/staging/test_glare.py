"""Mirrors and screens: never brighter than the photo shows what they reflect."""

from __future__ import annotations

import numpy as np
import pytest

from listing_media_dagster.path_tracer.materials import Material
from listing_media_dagster.path_tracer.solids import box
from listing_media_dagster.staging.glare import BRIGHTEST, window_level, without_glare
from listing_media_dagster.staging.render import Stage, trace, whole
from listing_media_dagster.staging.scene import stand_in
from listing_media_dagster_tests.staging.painted_room import known_geometry, paint

CAMERA = known_geometry(0.0).camera.scaled((36, 24))
LOOKS = {
    "mirror": Material((0.9, 0.9, 0.9), gloss=0.015, metal=True),
    "screen": Material((0.02, 0.02, 0.02), gloss=0.04),
    "matt": Material((0.8, 0.8, 0.8)),
}


@pytest.mark.parametrize(("material", "most"), [("mirror", 0.5), ("screen", 0.04), ("matt", None)])
def test_mirrors_and_screens_show_windows_as_bright_as_the_photo_does(material: str, most: float | None) -> None:
    plate = box(material, (-1.5, 0.2, -2.05), (1.5, 2.4, -2.0))
    window = box("pane", (-3.0, -1.0, 1.5), (3.0, 4.0, 1.6))
    traced = trace(Stage([plate, window], LOOKS, {"pane": (6.0, 6.0, 6.0)}), CAMERA, whole(CAMERA), 16, 1, 0)
    calmed = without_glare(traced, CAMERA, whole(CAMERA), [plate], LOOKS, 0.5)
    middle = np.s_[10:14, 16:20]
    if most is None:
        np.testing.assert_array_equal(calmed.radiance, traced.radiance)
    else:
        assert traced.radiance[middle].mean() > 2 * most
        assert calmed.radiance[middle].mean() == pytest.approx(most, rel=0.3)


def test_windows_are_as_bright_as_the_photo_shows_them() -> None:
    geometry = known_geometry()
    base = paint(geometry, {"left": 7.0, "right": 1.0})
    room = stand_in(geometry, [])
    pane = room.panes()[0]
    dim = np.full_like(base, 170)
    assert window_level(dim, [pane], geometry.camera) == pytest.approx(0.402, abs=0.005)
    assert window_level(base, [pane], geometry.camera) == BRIGHTEST
    assert window_level(base, [], geometry.camera) == BRIGHTEST
