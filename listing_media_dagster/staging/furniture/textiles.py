"""Cloth that lies over something and hangs down its sides: duvets, folded-back sheets and throws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.furniture.shells import Points, Shell, creases, grid_faces, lumps


@dataclass(frozen=True)
class Couch:
    """What cloth lies on: the x-z rectangle x0, x1, z0, z1 m, its top at `top` m, edges rounded by `radius` m."""

    x0: float
    x1: float
    z0: float
    z1: float
    top: float
    radius: float = 0.06

    def over(self, z0: float, z1: float, layer: float) -> Couch:
        """The part from `z0` to `z1` m with cloth of `layer` m on it."""
        return replace(self, x0=self.x0 - layer, x1=self.x1 + layer, z0=z0, z1=z1, top=self.top + layer)


@dataclass(frozen=True)
class Cloth:
    """How a cloth is and falls, in m: hem thickness, height of lumps on top, depth of folds where it hangs.

    It falls `side` at both sides; at the foot `foot`, or ends there on top if 0. It always ends on top at the head.
    """

    side: float
    foot: float
    thick: float
    puff: float
    wave: float
    seed: int
    flare: float = 0.06


def draped(material: str, couch: Couch, cloth: Cloth, spacing: float = 0.035) -> Part:
    """Return the cloth over the couch; equal seeds give equal lumps, so that cloths lie on one another."""
    under = np.linspace(0, 1, 8)[1:]  # the hem: stations beyond the edge that turn inward and back up
    across, share_across = _stations(couch.x0, couch.x1, cloth.side, cloth.side, under, spacing)
    along, share_along = _stations(couch.z0, couch.z1, 0.0, cloth.foot, under, spacing)
    shape = (len(across), len(along))
    x, z = (grid.ravel() for grid in np.meshgrid(across, along, indexing="ij"))
    fall_x, fall_z = (grid.ravel() for grid in np.meshgrid(share_across, share_along, indexing="ij"))
    head = np.where(fall_z < 0, -fall_z - 1, 0)
    end = np.where(fall_z > 1, fall_z - 1, 0) if cloth.foot == 0 else np.zeros_like(fall_z)
    fall_z = np.clip(fall_z, 0, None) if cloth.foot else np.zeros_like(fall_z)

    fall = np.maximum(np.abs(fall_x), fall_z)
    outward = np.stack([fall_x, fall_z], 1) / (np.hypot(fall_x, fall_z) + 1e-9)[:, None]
    reach = cloth.side * outward[:, 0] ** 2 + (cloth.foot or cloth.side) * outward[:, 1] ** 2
    hang = np.clip(fall, 0, 1) * reach
    out, down, facing_out = _profile(hang, np.clip(fall - 1, 0, 1), couch.radius, cloth)
    inward, turn = _hem(np.maximum(head, end), cloth.thick)
    lip = turn * (1 - np.clip(fall - 1, 0, 1))
    points = np.stack([x + out * outward[:, 0], couch.top - down, z + out * outward[:, 1]], 1)
    points[:, 2] += np.where(head > 0, -inward, inward)
    points[:, 0] -= lip * facing_out * outward[:, 0]
    points[:, 1] -= lip * (1 - facing_out)

    flat = np.stack([x, z], 1) + 0.25 * np.clip(hang / 0.25, 0, 1)[:, None] * outward
    on_top = np.clip(1 - hang / 0.15, 0.25, 1)
    points[:, 1] += cloth.puff * _billows(flat, cloth.seed) * on_top
    sway = cloth.wave * _folds(flat, cloth.seed) * np.clip(hang / 0.35, 0, 1.2) ** 0.8
    points[:, [0, 2]] += sway[:, None] * outward
    uv = np.stack([x + hang * outward[:, 0] - couch.x0, z + hang * outward[:, 1] - couch.z0], 1)
    uv += 0.02 * np.stack(
        [fall_x, np.maximum(head, end) + fall_z], 1
    )  # the hem's texture must not be squeezed to nothing
    return Shell(points, uv, grid_faces(*shape, turned_over=True), np.arange(len(points))).part(material)


def _stations(
    low: float, high: float, before: float, after: float, under: Points, spacing: float
) -> tuple[Points, Points]:
    """Where grid lines stand on the couch, and how far down they are: 0 on top, 1 at the edge, up to 2 in the hem.

    Negative on the low side.
    """
    flat = np.linspace(low, high, max(2, int(np.ceil((high - low) / spacing))) + 1)
    ends = []
    for hang in (before, after):
        falling = np.linspace(0, 1, max(1, int(np.ceil(hang / spacing))) + 1)[1:] if hang else np.array([1.0])
        ends.append(np.concatenate([falling, 1 + under]))
    place = np.concatenate([np.full(len(ends[0]), low), flat, np.full(len(ends[1]), high)])
    return place, np.concatenate([-ends[0][::-1], np.zeros(len(flat)), ends[1]])


def _profile(hang: Points, hem: Points, radius: float, cloth: Cloth) -> tuple[Points, Points, Points]:
    """Cross-section of a fall: m outward, m down, and 0 (facing up) .. 1 (facing out)."""
    angle = np.clip(hang / radius, 0, np.pi / 2)
    straight = np.clip(hang - radius * np.pi / 2, 0, None)
    inward, turn = _hem(hem, cloth.thick)
    out = radius * np.sin(angle) + cloth.flare * straight - turn
    return out, radius * (1 - np.cos(angle)) + straight + inward, np.sin(angle)


def _hem(share: Points, thick: float) -> tuple[Points, Points]:
    """A hem's cross-section for 0..1: m beyond the edge and m below the face; half a circle, then back under."""
    angle = np.clip(share / 0.6, 0, 1) * np.pi
    back = np.clip((share - 0.6) / 0.4, 0, 1) * 0.05
    return thick / 2 * np.sin(angle) - back, thick / 2 * (1 - np.cos(angle))


def _billows(flat: Points, seed: int) -> Points:
    """Soft hills, long shallow creases and the ripples of a cloth that was pulled straight by hand; about -1..1."""
    hills = 0.8 * np.abs(lumps(flat, seed, 0.75)) + 0.25 * lumps(flat, seed + 1, 0.33) - 0.6
    ripples = 0.16 * lumps(flat * [1.0, 0.45], seed + 3, 0.13)
    return hills + ripples - 0.8 * creases(flat, seed + 2, 26, 0.26, 0.028, 2 * np.pi)


def _folds(flat: Points, seed: int) -> Points:
    """How far hanging cloth stands out, 0 to about 1: rounded ridges with valleys between them."""
    level = 0.5 + 0.42 * lumps(flat, seed + 5, 0.30, 6) + 0.12 * lumps(flat, seed + 6, 0.14)
    return np.log1p(np.exp(5 * level)) / 5
