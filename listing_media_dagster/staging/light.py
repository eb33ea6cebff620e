"""The light of a photographed room: how strongly its windows, ceiling and unseen sides shine, from the photo alone.

A stand-in of the room is rendered once for each group of light at thumbnail size; the mix of groups and the planes'
reflectances that explain the photo's floor, walls and ceiling best are the room's light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.materials import Colour, Image, Material
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrays import Floats, Mask, Planes, Rgb
from listing_media_dagster.staging.render import Stage, trace, whole
from listing_media_dagster.staging.room import PhotoCamera, RoomGeometry
from listing_media_dagster.staging.scene import PLANES, SIDES, StandIn

THUMBNAIL = 96  # px wide
SAMPLES, GUIDE_SAMPLES = 9, 1  # a pixel of the thumbnail
TYPICAL: Mapping[str, float] = {"floor": 0.35, "ceiling": 0.8}  # reflectance
WALL = 0.7  # reflectance of the other planes
WHITE_PAINT = 0.8  # reflectance of the lightest of walls and ceiling
IN_VIEW = 0.03  # share of the picture from which on a side is seen not to shine
WELL_EXPOSED = 0.62  # linear level of white paint in a well exposed photo
TRUST = 0.7  # share of the photo's own whites in the level of white
ROUNDS = 15  # of fitting light and reflectance in turn
EVEN = 0.02  # pull toward the usual mix of light where the photo's shading says little
LEAST_CONTRAST = 0.5  # how far photographers' merging holds light back
DIM = 0.02  # of white: light below it tells no contrast
TINT = 0.5  # share of the lightest plane's hue that is the light's and not the paint's
WINDOW, GLOW = 6.0, 0.25  # radiance of windows, and of ceiling and unseen walls, before anything is known


_FLOOR, _CEILING, _WALLS = 0, 1, 2  # kinds of `PLANES` by their index; walls come last


@dataclass(frozen=True)
class RoomLight:
    """What shines and what reflects in the stand-in, in the photo's linear units (1 is its white).

    `shining` gives panes and planes their radiance, `reflectance` the planes' colours, `black` is the photo's darkest
    level, `mix` how many times stronger than usual each source was found to be. `contrast` is how much of the light's
    broad contrast the photo shows, as an exponent: merged exposures hold it back.
    """

    panes: tuple[Part, ...]
    shining: Mapping[str, Colour]
    reflectance: Mapping[str, Colour]
    black: Colour
    mix: Mapping[str, float]
    contrast: float = 1.0

    def stage(self, room: StandIn) -> Stage:
        """Return the empty, lit stand-in."""
        planes = [room.plane(name) for name in room.planes]
        materials = {name: Material(self.reflectance[name]) for name in room.planes}
        return Stage([*planes, *self.panes], materials, self.shining)

    def brighter(self, times: float) -> RoomLight:
        shining = {
            name: (times * red, times * green, times * blue) for name, (red, green, blue) in self.shining.items()
        }
        return replace(self, shining=shining)


@cache
def _linear_levels() -> NDArray[np.float32]:
    level = np.arange(256) / 255
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear_light(rgb: Rgb) -> Image:
    """Return sRGB uint8 (H, W, 3) as linear light 0..1."""
    return np.asarray(_linear_levels()[rgb])


def estimate_light(base: Rgb, geometry: RoomGeometry, room: StandIn, seed: int) -> RoomLight:
    """Return the light that makes the stand-in look like the photo `base` (H, W, 3)."""
    small = _thumbnail(base)
    camera = geometry.camera.scaled((small.shape[1], small.shape[0]))
    floor = cv2.resize(geometry.floor.astype(np.float32), camera.size, interpolation=cv2.INTER_AREA) > 0.9
    shown, _ = room.seen_by(camera, whole(camera))
    usable = _usable(small, shown, floor, geometry)
    panes = room.panes()
    unseen = [side for side in SIDES if (shown == PLANES.index(side)).mean() < IN_VIEW]
    sources = [*(pane.material for pane in panes), "ceiling", *unseen]
    usual = np.array([_usual(source) for source in sources])
    grey = {name: (TYPICAL.get(name, WALL),) * 3 for name in room.planes}
    rendered = []
    for number, source in enumerate(sources):
        alone = RoomLight(panes, {source: (float(usual[number]),) * 3}, grey, (0.0, 0.0, 0.0), {})
        rendered.append(_rendered(alone, room, camera, seed + number))
    mix, by_kind = _explain(small, np.stack(rendered), shown, usable)
    gain = {name: float(by_kind[min(n, _WALLS)]) for n, name in enumerate(room.planes)}
    colours = {
        name: np.median(small[usable & (shown == n)], axis=0)
        for n, name in enumerate(room.planes)
        if (usable & (shown == n)).mean() > 0.01
    }
    tint, scale = _white(colours, gain)
    radiance = {s: _colour(tint * level) for s, level in zip(sources, mix * usual * scale, strict=True)}
    reflectance = {name: _reflectance(name, colours.get(name), gain[name], tint, scale) for name in room.planes}
    dark = np.percentile(small.reshape(-1, 3), 0.2, axis=0).clip(0, 0.02)
    found = dict(zip(sources, map(float, mix), strict=True))
    light = RoomLight(panes, radiance, reflectance, _colour(dark), found)
    lit = _rendered(light, room, camera, seed)
    level = float(np.median(small.mean(axis=-1)[usable] / np.maximum(lit[usable], 1e-4))) if usable.any() else 1.0
    contrast = _contrast(small.mean(axis=-1), lit, shown, usable)
    return replace(light.brighter(float(np.clip(level, 0.5, 2.0))), contrast=contrast)


def _contrast(photo: Image, lit: Image, shown: Planes, usable: Mask) -> float:
    """Return how much of the contrast that light has on plain walls and ceiling (h, w) the photo shows."""
    in_photo, in_light = 0.0, 0.0
    for plane in np.unique(shown[shown != _FLOOR]):
        there = usable & (shown == plane)
        if there.mean() > IN_VIEW:
            in_photo += there.sum() * float(np.log(photo[there] + DIM).var())
            in_light += there.sum() * float(np.log(lit[there] + DIM).var())
    return float(np.clip((in_photo / in_light) ** 0.5, LEAST_CONTRAST, 1.0)) if in_light > 0 else 1.0


def _rendered(light: RoomLight, room: StandIn, camera: PhotoCamera, seed: int) -> Image:
    """Return the brightness (h, w) of the empty, lit stand-in."""
    traced = trace(light.stage(room), camera, whole(camera), SAMPLES, GUIDE_SAMPLES, seed)
    return np.asarray(traced.denoised().mean(axis=-1))


def _usual(source: str) -> float:
    return WINDOW if "window" in source else GLOW


def _colour(levels: Floats) -> Colour:
    return float(levels[0]), float(levels[1]), float(levels[2])


def _thumbnail(base: Rgb) -> Image:
    height, width = base.shape[:2]
    size = (THUMBNAIL, max(1, round(THUMBNAIL * height / width)))
    coarse = cv2.resize(base, (size[0] * 4, size[1] * 4), interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.resize(linear_light(np.asarray(coarse, np.uint8)), size, interpolation=cv2.INTER_AREA), np.float32
    )


def _usable(small: Image, shown: Planes, floor: Mask, geometry: RoomGeometry) -> Mask:
    """Pixels that show plain floor, wall or ceiling: no opening, nothing burnt out, no edge of things."""
    scale = small.shape[1] / geometry.camera.size[0]
    openings = np.zeros(floor.shape, np.uint8)
    for wall in geometry.walls:
        for opening in wall.openings:
            cv2.fillPoly(openings, [np.round(opening.outline * scale).astype(np.int32)], 1)
    near_openings = cv2.dilate(openings, np.ones((3, 3), np.uint8))
    grey = small.mean(axis=-1)
    flat = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) < 0.12 + 0.3 * grey
    plain = (near_openings == 0) & (grey < 0.97) & flat
    return np.asarray(np.where(shown == 0, floor, ~floor) & plain)


def _explain(small: Image, rendered: Image, shown: Planes, usable: Mask) -> tuple[Floats, Floats]:
    """Return each group's strength (relative to usual) and each kind of plane's gain on its usual reflectance.

    Alternates between the two, weighing down what fits badly, such as what hangs on walls. All walls count as painted
    alike: a gain of its own for each would explain away which of them the windows light.
    """
    target, groups = small.mean(axis=-1)[usable], rendered[:, usable]
    kind = np.minimum(shown[usable], _WALLS)
    mix, gain = np.ones(len(groups)), np.ones(_WALLS + 1)
    pull = EVEN * np.sqrt(len(target)) * float(target.mean()) if len(target) else 0.0
    for _ in range(ROUNDS if len(target) else 0):
        fit = target / np.maximum(mix @ groups, 1e-6)
        ratio = {int(n): float(np.median(fit[kind == n])) for n in np.unique(kind)}
        anchor = next(ratio[n] for n in (_CEILING, _WALLS, _FLOOR) if n in ratio)
        for n in ratio:
            gain[n] = ratio[n] / anchor
        explained = groups * gain[kind]
        off = np.abs(anchor * mix @ explained - target) / np.maximum(target, 0.05)
        weight = 1 / (1 + (off / 0.15) ** 2)
        level = target.mean() / explained.sum(axis=0).mean()  # of the usual mix, brought to the photo's exposure
        design = np.vstack([(explained * weight).T, np.eye(len(mix)) * pull / level])
        mix = _least_squares(design, np.concatenate([target * weight, np.full(len(mix), pull)]), anchor * mix)
    return mix, gain


def _least_squares(design: Floats, wanted: Floats, start: Floats) -> Floats:
    """Return x, nowhere less than a thousandth, that brings design @ x closest to `wanted`, by coordinate descent."""
    square, toward = design.T @ design, design.T @ wanted
    found = start.copy()
    for _ in range(50):
        for n in range(len(found)):
            found[n] = max(found[n] + (toward[n] - square[n] @ found) / square[n, n], 1e-3)
    return found


def _white(colours: Mapping[str, Floats], gain: Mapping[str, float]) -> tuple[Floats, float]:
    """Return the light's tint (3,) of mean 1 and what to scale it by so that the lightest plane is white paint.

    Shading alone can't tell how light and reflectance share in what a plane shows.
    """
    reflects = {name: TYPICAL.get(name, WALL) * gain[name] for name in colours if name != "floor"}
    if not reflects:
        return np.ones(3), 1.0
    lightest = max(reflects, key=lambda name: reflects[name])
    level = float(colours[lightest].mean())
    tint = np.clip(colours[lightest] / level, 0.6, 1.5) ** TINT
    exposure = (WELL_EXPOSED / max(level, 0.05)) ** (1 - TRUST)
    return tint / tint.mean(), reflects[lightest] / WHITE_PAINT * exposure


def _reflectance(name: str, colour: Floats | None, gain: float, tint: Floats, scale: float) -> Colour:
    usual = TYPICAL.get(name, WALL)
    if colour is None:
        return (usual,) * 3
    return _colour(np.clip(colour / colour.mean() / tint * usual * gain / scale, 0.02, 0.85))
