"""Varnished floors: how much like a mirror a photo's floor is, and what furniture changes in that mirror."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Image, Material
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrays import Floats
from listing_media_dagster.staging.light import linear_light
from listing_media_dagster.staging.render import Stage, Window
from listing_media_dagster.staging.room import PhotoCamera, RoomGeometry
from listing_media_dagster.staging.scene import StandIn

ROUGHNESS = 0.12  # of floor varnish
BARE = 0.04  # what varnish reflects of light that falls straight on it
WIDTH = 256  # px at which the floor is searched for reflections
BURNT_OUT, BEYOND_WHITE = 0.9, 2.5  # windows shine so many times stronger than a photo can show
GLOSSIEST = 0.6  # the glossiest floors scatter some
FLAT = 0.03  # m: rugs have no mirror image
SCATTERED = 0.03  # of the window: how far varnish blurs what it mirrors
LIKENESS = 0.25  # correlation from which on the floor is taken to mirror the room


def floor_gloss(base: NDArray[np.uint8], geometry: RoomGeometry, room: StandIn) -> float:
    """Return how strongly the floor mirrors what stands above it in the photo, 0 matt .. `GLOSSIEST`.

    Every floor pixel's mirror ray is followed to the wall or window the photo shows there: where the floor's brightness
    goes along with it, beyond what slowly changes, it mirrors.
    """
    height = round(WIDTH * base.shape[0] / base.shape[1])
    camera = geometry.camera.scaled((WIDTH, height))
    grey = linear_light(np.asarray(cv2.resize(base, camera.size, interpolation=cv2.INTER_AREA), np.uint8)).mean(axis=-1)
    floor = cv2.resize(geometry.floor.astype(np.float32), camera.size, interpolation=cv2.INTER_AREA) > 0.9
    pixels = Window(0, 0, *camera.size).pixels()
    rays, points = camera.rays(pixels), camera.on_floor(pixels)
    usable = floor.ravel() & np.isfinite(points).all(axis=1)
    usable[usable] &= (np.abs(points[usable, 0] - room.centre[0]) < (room.x[1] - room.x[0]) / 2) & (
        np.abs(points[usable, 2] - room.centre[2]) < (room.z[1] - room.z[0]) / 2
    )
    _, above = room.cast(points[usable] + (0, 1e-4, 0), rays[usable] * (1, -1, 1))
    seen = np.nan_to_num(camera.project(above), nan=-1.0)
    inside = ((seen >= 0) & (seen < camera.size)).all(axis=1)
    if inside.sum() < 200:
        return 0.0
    usable[usable] = inside
    columns, rows = seen[inside].astype(int).T
    shown = grey[rows, columns]
    mirrored = np.where(shown > BURNT_OUT, BEYOND_WHITE, shown) * mirror_share(rays[usable])
    known = usable.reshape(height, WIDTH)
    expected = np.zeros_like(grey)
    expected[known] = mirrored
    ours, theirs = _detail(grey, known)[known], _detail(expected, known)[known]
    if theirs.std() < 1e-3 or np.corrcoef(ours, theirs)[0, 1] < LIKENESS:
        return 0.0
    return float(np.clip((ours * theirs).mean() / (theirs**2).mean(), 0, GLOSSIEST))


def mirror_share(rays: Floats) -> Floats:
    """Return what a varnished floor reflects (N,) of light that leaves it against unit `rays` (N, 3)."""
    return np.asarray(varnish_reflects(np.abs(rays[:, 1])))


def varnish_reflects(facing: NDArray[Any]) -> NDArray[Any]:
    """Return the share of light that varnish or glass reflects, by the cosine of its slant (Schlick 1994)."""
    return np.asarray(BARE + (1 - BARE) * (1 - facing) ** 5)


def with_mirror_floor(stage: Stage) -> Stage:
    """Return the stage with a floor that reflects all light in the way of varnish."""
    return replace(
        stage, materials={**stage.materials, "floor": Material((1.0, 1.0, 1.0), gloss=ROUGHNESS, metal=True)}
    )


def mirrored_change(furnished: Image, empty: Image, camera: PhotoCamera, window: Window, gloss: float) -> Image:
    """Return what furniture adds to (or takes from) the floor's light by standing in its mirror, (h, w, 3).

    `furnished` and `empty` show the window with a mirror floor. Both are cut at white, as the photo's reflections are.
    """
    share = mirror_share(camera.rays(window.pixels())).reshape(window.size[::-1])
    change = np.minimum(furnished, 1.0) - np.minimum(empty, 1.0)
    return np.asarray(gloss * share[..., None] * change, np.float32)


def reflected_share(parts: Sequence[Part], camera: PhotoCamera, window: Window) -> Image:
    """Return how surely a floor would show furniture in its mirror at each pixel (h, w), 0..1.

    Outlines of what stands in the room, upside down under the floor, as far as varnish scatters. Elsewhere nothing
    changes: a floor that mirrors all light makes an empty room brighter than a furnished one, which no real floor does.
    """
    width, height = window.size
    drawn = np.zeros((height, width), np.uint8)
    for piece in parts:
        if piece.vertices[:, 1].max() > FLAT:
            outline = camera.project(piece.vertices.astype(float) * (1, -1, 1)) - (window.left, window.top)
            outline = np.clip(outline[np.isfinite(outline).all(axis=1)], -1e4, 1e4)
            if len(outline):
                cv2.fillConvexPoly(drawn, np.round(cv2.convexHull(outline.astype(np.float32))).astype(np.int32), 1)
    reach = max(1.0, SCATTERED * max(window.size))
    grown = cv2.dilate(drawn, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(1.5 * reach) + 1,) * 2))
    share = cv2.GaussianBlur(grown.astype(np.float32), (0, 0), reach / 2)
    return np.asarray(np.where(share > 0.01, share, 0), np.float32)


def _detail(image: Image, known: NDArray[np.bool_]) -> Image:
    """What is left of the image (h, w) after its slow changes over the known part are taken away, a bit softened."""
    weight = known.astype(np.float32)

    def blurred(deviation: float) -> Image:
        share = np.maximum(cv2.GaussianBlur(weight, (0, 0), deviation), 1e-3)
        return np.asarray(cv2.GaussianBlur(image.astype(np.float32) * weight, (0, 0), deviation) / share, np.float32)

    return blurred(1.5) - blurred(20.0)
