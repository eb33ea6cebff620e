"""Laying furniture, its shadow and its mirror image into the photo at full size, strip by strip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from listing_media_dagster.path_tracer.materials import Image
from listing_media_dagster.staging.arrays import Mask, Rgb
from listing_media_dagster.staging.camera_look import CameraLook
from listing_media_dagster.staging.detail import Hits, Irradiance, furniture_in_detail
from listing_media_dagster.staging.light import RoomLight, linear_light
from listing_media_dagster.staging.reduction import Reduced
from listing_media_dagster.staging.render import Window
from listing_media_dagster.staging.room import RoomGeometry
from listing_media_dagster.staging.scene import StandIn
from listing_media_dagster.staging.shadow import carried_over, panes_seen, taken

STRIP, OVERLAP = 1_000_000, 20  # pixels that are laid in at a time; rows that strips share, for blurs to reach
DIMMEST = 0.35  # share of the floor's light that is left where furniture hides a window from its mirror
NOTHING = 1e-4  # of the light: too little to change a level of the photo


@dataclass(frozen=True)
class View:
    """A photo's room and the `window` of the photo that changes, which is traced reduced, `at` so many times."""

    geometry: RoomGeometry
    room: StandIn
    window: Window
    at: Reduced
    seed: int


@dataclass(frozen=True)
class Pieces:
    """The furniture: what each pixel of the window shows of it, in what light, how much it covers, and where it is
    cut out.

    `sun` (h, w) is how many times brighter patches of sun make it there, None if there are none.
    """

    hits: Hits
    light: Irradiance
    covered: Image
    cut: Mask
    sun: Image | None


@dataclass(frozen=True)
class Layers:
    """The reduced window: radiance (h, w, 3) with and without furniture, how much of the light it leaves from afar
    (h, w) and how far that may show (h, w), and what it changes in the floor's mirror (h, w, 3).

    `near` is of the window's full size: the share of light (h, w) that furniture right beside leaves the room.
    """

    furnished: Image
    unfurnished: Image
    left: Image
    fading: Image
    mirror: Image
    near: Image


def lay_in(
    base: Rgb, view: View, pieces: Pieces, layers: Layers, light: RoomLight, look: CameraLook
) -> tuple[Rgb, Mask, Image]:
    """Return the staged photo uint8 (H, W, 3), where layers change it (H, W), and the furniture's share (H, W) 0..1.

    The mask comes from the layers alone: where they change nothing the sum below gives back the photo's own bytes.
    """
    rgb, edited, alpha = base.copy(), np.zeros(base.shape[:2], np.bool_), np.zeros(base.shape[:2], np.float32)
    for wide, own in strips(view.window, STRIP, OVERLAP):
        near = layers.near[wide.top - view.window.top : wide.bottom - view.window.top]
        shade = taken(view.at.enlarged(layers.left, wide), near, view.at.enlarged(layers.fading, wide))
        shade[(shade < NOTHING) | panes_seen(view.geometry.walls, wide)] = 0
        mirror = view.at.enlarged(layers.mirror, wide)
        mirror[np.abs(mirror).max(axis=-1) < NOTHING] = 0
        radiance, share = _furniture(view, pieces, layers, shade, wide)
        colour, share = look.softened(_displayed(radiance, light) * share[..., None]), look.softened(share)
        before = linear_light(base[wide.rows_columns]) * (1 - shade[..., None])
        behind = np.where(mirror != 0, np.maximum(before + mirror, DIMMEST * before), before)
        grain = look.grain(share.shape, wide.top) * share[..., None]
        staged = _coded(behind * (1 - share[..., None]) + colour) + grain
        inner = slice(own.top - wide.top, own.bottom - wide.top)
        rgb[own.rows_columns] = np.clip(staged * 255 + 0.5, 0, 255).astype(np.uint8)[inner]
        edited[own.rows_columns] = ((share > 0) | (shade > 0) | (mirror != 0).any(axis=-1))[inner]
        alpha[own.rows_columns] = share[inner]
    return rgb, edited, alpha


def _furniture(view: View, pieces: Pieces, layers: Layers, shade: Image, strip: Window) -> tuple[Image, Image]:
    """Return the furniture's own radiance (h, w, 3) in a strip of the window, and its share (h, w) of each pixel."""
    window = view.window
    part = (slice(strip.top - window.top, strip.bottom - window.top), slice(0, strip.size[0]))
    share, cut = pieces.covered[part], pieces.cut[part]
    room = view.at.enlarged(layers.unfurnished, strip) * (1 - shade[..., None])
    shown = view.at.enlarged(layers.furnished, strip)
    # what partly covered pixels show of the room is taken out of them, and the less they show the less they count
    own = np.maximum((shown - (1 - share[..., None]) * room) / np.maximum(share[..., None], 0.3), 0)
    sure = np.clip(2 * share - 1, 0, 1) ** 2
    detail, met = furniture_in_detail(pieces.light, pieces.hits, view.room, strip, part)
    sharp = ~cut  # rays meet flat parts where they are cut out, too
    own[sharp], sure[sharp] = detail[sharp], met[sharp]
    own = carried_over(own.astype(np.float32), sure.astype(np.float32), (0.8, 2.0, 6.0))
    return own if pieces.sun is None else own * pieces.sun[part][..., None], share


def strips(window: Window, pixels: int, overlap: int) -> Iterator[tuple[Window, Window]]:
    """Yield the window strip by strip: with `overlap` rows above and below where there are any, and without."""
    rows = max(2 * overlap, pixels // window.size[0])
    for top in range(window.top, window.bottom, rows):
        bottom = min(top + rows, window.bottom)
        wide = Window(window.left, max(window.top, top - overlap), window.right, min(window.bottom, bottom + overlap))
        yield wide, Window(window.left, top, window.right, bottom)


def _displayed(radiance: Image, light: RoomLight) -> Image:
    """Fit radiance (…, 3) between the photo's black and white: shadows lifted like its own, highlights rolled off."""
    black = np.asarray(light.black, np.float32)
    lifted = black + radiance * (1 - black)
    knee = 0.8
    over = np.maximum(lifted - knee, 0)
    return np.asarray(np.minimum(lifted, knee) + (1 - knee) * (1 - np.exp(-over / (1 - knee))), np.float32)


def _coded(linear: Image) -> Image:
    """Return linear light as sRGB levels 0..1."""
    level = np.clip(linear, 0, 1)
    return np.asarray(np.where(level <= 0.0031308, level * 12.92, 1.055 * level ** (1 / 2.4) - 0.055), np.float32)
