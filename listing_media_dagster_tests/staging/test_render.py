"""What is traced lies where the photo's camera sees it, and comes out the same each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from listing_media_dagster.path_tracer.materials import Material
from listing_media_dagster.path_tracer.solids import box
from listing_media_dagster.staging.reflection import reflected_share
from listing_media_dagster.staging.render import Stage, Window, trace, whole
from listing_media_dagster.staging.silhouette import silhouette
from listing_media_dagster_tests.staging.painted_room import known_geometry

GREY = {"grey": Material((0.5, 0.5, 0.5))}


def test_a_box_is_traced_where_an_off_centre_camera_projects_it() -> None:
    camera = replace(known_geometry().camera, centre=(60.0, 55.0))
    crate = box("grey", (-0.5, 0.0, -3.4), (0.2, 0.6, -3.0))
    traced = trace(Stage([crate], GREY, {}), camera, whole(camera), 1, 8, 1)
    rows, columns = np.nonzero(traced.albedo[..., 0] > 0.25)
    corners = camera.project(crate.vertices.astype(float))
    low, high = corners.min(axis=0), corners.max(axis=0)
    assert np.allclose([columns.min(), rows.min()], low, atol=1.0)
    assert np.allclose([columns.max() + 1, rows.max() + 1], high, atol=1.0)


def test_the_silhouette_covers_what_rays_meet() -> None:
    camera = known_geometry().camera
    crate = box("grey", (-0.5, 0.0, -3.4), (0.2, 0.6, -3.0))
    drawn = silhouette([crate], camera, whole(camera))
    traced = trace(Stage([crate], GREY, {}), camera, whole(camera), 1, 64, 1).albedo[..., 0] / 0.5
    assert np.abs(drawn - traced).max() < 0.35
    assert np.abs(drawn - traced).mean() < 0.005


def test_furniture_that_reaches_behind_the_camera_is_cut_there() -> None:
    camera = known_geometry().camera
    rug = box("grey", (-1.0, 0.0, -3.0), (1.0, 0.02, 1.0))
    drawn = silhouette([rug], camera, whole(camera))
    assert drawn[-1, 60:80].min() == 1
    assert drawn[:40].max() == 0


def test_a_window_of_the_picture_is_traced_as_the_whole_is() -> None:
    camera = known_geometry().camera
    crate = box("grey", (-0.5, 0.0, -3.4), (0.2, 0.6, -3.0))
    part = Window(40, 30, 120, 90)
    of_whole = trace(Stage([crate], GREY, {}), camera, whole(camera), 1, 32, 1).albedo[part.rows_columns]
    alone = trace(Stage([crate], GREY, {}), camera, part, 1, 32, 1).albedo
    assert np.abs(of_whole - alone).mean() < 0.01


def test_the_same_seed_traces_the_same_light() -> None:
    camera = known_geometry().camera
    crate = box("grey", (-0.5, 0.0, -3.4), (0.2, 0.6, -3.0))
    lamp = box("lamp", (-0.5, 2.0, -3.4), (0.2, 2.1, -3.0))
    lower = box("lower lamp", (1.0, 0.2, -3.4), (1.2, 0.4, -3.0))
    stage = Stage([crate, lamp, lower], GREY, {"lamp": (2.0, 2.0, 2.0), "lower lamp": (1.0, 0.5, 0.2)})
    first, again, other = (trace(stage, camera, whole(camera), 2, 1, seed).denoised() for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_only_what_stands_shows_in_the_floors_mirror() -> None:
    """A box is mirrored below its foot, a rug nowhere, and floor far from both stays as it is."""
    camera = known_geometry().camera
    crate, rug = box("grey", (-0.5, 0.0, -3.4), (0.2, 0.6, -3.0)), box("grey", (-1.0, 0.0, -3.0), (1.0, 0.02, -2.0))
    share = reflected_share([crate, rug], camera, whole(camera))
    column, row = camera.project(np.array([[-0.15, -0.3, -3.0]]))[0].astype(int)
    assert share[row, column] > 0.9
    assert share[:, -1].max() == 0
    assert reflected_share([rug], camera, whole(camera)).max() == 0
