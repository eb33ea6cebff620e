"""Outlines: how much of each pixel furniture covers, however finely it is modelled."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.path_tracer.solids import part, quad
from listing_media_dagster.staging.render import whole
from listing_media_dagster.staging.silhouette import silhouette
from listing_media_dagster_tests.staging.painted_room import known_geometry


def test_triangles_smaller_than_a_subpixel_cover_what_large_ones_do() -> None:
    camera = known_geometry().camera
    coarse = quad("grey", (-0.3, 0.2, -3.0), (0.7, 0.15, 0.0), (0.0, 0.6, 0.0))
    steps = np.linspace(0, 1, 161)
    u, v = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    points = np.array([-0.3, 0.2, -3.0]) + u[:, None] * (0.7, 0.15, 0.0) + v[:, None] * (0.0, 0.6, 0.0)
    first = (np.arange(160)[:, None] * 161 + np.arange(160)).ravel()
    faces = np.concatenate(
        [np.column_stack([first, first + 161, first + 162]), np.column_stack([first, first + 162, first + 1])]
    )
    fine = part("grey", points, np.tile((0, 0, 1), (len(points), 1)), np.column_stack([u, v]), faces)
    covered, truth = (silhouette([each], camera, whole(camera)) for each in (fine, coarse))
    assert truth.max() == 1
    assert np.abs(covered - truth).mean() < 0.001
    assert np.abs(covered - truth).max() <= 0.25
