"""Light is traced reduced, textures at full size: what comes out is as sharp as the photo and lies where it should."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from listing_media_dagster.path_tracer.materials import Image, Material
from listing_media_dagster.path_tracer.solids import box
from listing_media_dagster.staging.arrays import Mask
from listing_media_dagster.staging.detail import first_hits, furniture_in_detail, irradiance
from listing_media_dagster.staging.laying_in import strips
from listing_media_dagster.staging.reduction import reduced
from listing_media_dagster.staging.render import LoadedStage, Stage, Window, load_stage, whole
from listing_media_dagster.staging.room import PhotoCamera
from listing_media_dagster.staging.scene import PLANES, stand_in
from listing_media_dagster_tests.staging.painted_room import known_geometry

CRATE = box("checks", (-0.7, 0.0, -3.4), (0.4, 0.9, -3.0))

GREY = dict.fromkeys(PLANES, (0.5, 0.5, 0.5))


def lit_crate() -> Stage:
    checks = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.ones((8, 8)))[..., None] * np.ones(3) * 0.5 + 0.2
    lamp = box("lamp", (-0.5, 2.0, -1.4), (0.2, 2.1, -1.0))
    return Stage([CRATE, lamp], {"checks": Material(checks.astype(np.float32), metres=0.5)}, {"lamp": (8.0, 8.0, 8.0)})


def camera() -> PhotoCamera:
    return known_geometry().camera.scaled((288, 192))


def in_detail(scene: LoadedStage, view: PhotoCamera, window: Window, pixels: int, spp: int) -> tuple[Image, Mask]:
    at, room = reduced(view, window, pixels), stand_in(known_geometry(), [])
    hits = first_hits(scene, room, GREY, view, window, np.ones(window.size[::-1], np.bool_))
    radiance = scene.radiance(at.camera, at.window, spp, 1)
    light = irradiance(hits.shrunk(at, window), radiance, hits, at, window, room, None)
    return furniture_in_detail(light, hits, room, window, np.s_[:, :])


def test_texture_is_sharper_than_the_light_that_was_traced() -> None:
    scene, view, window = load_stage(lit_crate()), camera(), Window(90, 70, 190, 160)
    detail, met = in_detail(scene, view, window, 1000, 32)
    at = reduced(view, window, 1000)
    truth = scene.trace(view, window, 48, 1, 2).radiance
    enlarged = at.enlarged(scene.radiance(at.camera, at.window, 32, 1), window)
    inside = cv2.erode(met.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert at.times == 3
    assert inside.sum() > 500
    assert np.abs(detail - truth)[inside].mean() < 0.4 * np.abs(enlarged - truth)[inside].mean()


def test_rays_meet_furniture_where_the_camera_projects_it() -> None:
    scene, view = load_stage(lit_crate()), camera()
    _, met = in_detail(scene, view, whole(view), 10_000, 1)
    rows, columns = np.nonzero(met[80:])
    corners = view.project(CRATE.vertices.astype(float))
    assert np.allclose([columns.min(), columns.max() + 1], [corners[:, 0].min(), corners[:, 0].max()], atol=1.5)
    assert abs(rows.max() + 81 - corners[:, 1].max()) < 1.5


def test_fabric_finer_than_a_pixel_is_no_noise() -> None:
    threads = np.random.default_rng(0).uniform(0.1, 0.9, (256, 256, 1)).astype(np.float32) * np.ones(3, np.float32)
    crate = Stage([CRATE], {"checks": Material(threads, metres=0.25)}, {})
    view, window = camera(), Window(90, 85, 180, 140)
    everywhere = np.ones(window.size[::-1], np.bool_)
    hits = first_hits(load_stage(crate), stand_in(known_geometry(), []), GREY, view, window, everywhere)
    on_front = (hits.normal[..., 2] > 0.99) & ~hits.edges
    assert on_front.sum() > 150
    assert hits.albedo[on_front].std() < 0.03  # of the texture's own 0.23
    assert hits.albedo[on_front].mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("times", [1, 2, 3, 7])
def test_a_point_is_the_same_in_the_photo_and_reduced(times: int) -> None:
    view = replace(known_geometry().camera, centre=(70.3, 44.9))
    window = Window(31, 17, 119, 95)
    at = reduced(view, window, 88 * 78 // times**2)
    point = np.array([[0.3, 0.2, -3.0]])
    assert np.allclose(at.camera.project(point) * at.times, view.project(point))
    columns = np.arange(at.window.left, at.window.right, dtype=np.float32)[None].repeat(at.window.size[1], axis=0)
    brought = at.enlarged((columns + 0.5) * at.times, window)[10]
    inner = slice(at.times, -at.times)
    assert np.allclose(brought[inner], (np.arange(31, 119) + 0.5)[inner], atol=0.05 * at.times)
    assert at.shrunk(np.ones((78, 88), np.float32), window).shape == at.window.size[::-1]


def test_strips_cover_a_window_once() -> None:
    window = Window(3, 5, 103, 330)
    pieces = list(strips(window, 6000, 10))
    assert [own.top for _, own in pieces[1:]] == [own.bottom for _, own in pieces[:-1]]
    assert (pieces[0][1].top, pieces[-1][1].bottom) == (5, 330)
    assert all(5 <= wide.top <= own.top and own.bottom <= wide.bottom <= 330 for wide, own in pieces)
