"""What makes a child's room: building blocks, a bear, a play tent.

Roles: `blocks`; `bear`, `muzzle`, `eyes`; `cloth`, `poles`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved, turned
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.joinery import (
    board,
    curve,
    ellipse,
    ellipsoid,
    fitted,
    in_cell,
    leg,
    rod,
    shell,
    slab,
)


def toy_blocks(size: Size, seed: int) -> list[Part]:
    """A small tower and a bridge of painted blocks."""
    rng = np.random.default_rng(seed)
    e = 0.06
    spots = [
        (-1.2, 0, 0),
        (0, 0, 0.1),
        (1.25, 0, -0.1),
        (-1.15, 1, 0),
        (0.05, 1, 0.08),
        (-1.1, 2, 0.02),
        (1.9, 0, 1.2),
        (-0.2, 0, 1.4),
    ]
    parts: list[Part] = []
    for k, (x, y, z) in enumerate(spots):
        cube = in_cell(board("blocks", (-e / 2, 0, -e / 2), (e / 2, e, e / 2), bevel=0.004), k % 16)
        parts += moved([cube], turned(float(rng.uniform(-14, 14))), (x * e, y * e, z * e))
    arch = in_cell(board("blocks", (-1.05 * e, 0, -e / 2), (1.05 * e, 0.5 * e, e / 2), bevel=0.004), 5)
    parts += moved([arch], None, (0.62 * e, 2 * e, 0))
    post = in_cell(board("blocks", (-e / 2, 0, -e / 2), (e / 2, e, e / 2), bevel=0.004), 9)
    parts += moved([post], None, (1.22 * e, e, -0.1 * e))
    ball = in_cell(ellipsoid("blocks", (0.75 * e, 3.0 * e, 0), (0.5 * e, 0.5 * e, 0.5 * e)), 1)
    return fitted([*parts, ball], size)


def toy_bear(size: Size, seed: int) -> list[Part]:
    """A sitting teddy bear."""
    parts = [
        ellipsoid("bear", (0, 0.125, 0), (0.098, 0.125, 0.085), 2.2, 36),
        ellipsoid("bear", (0, 0.30, 0.012), (0.092, 0.084, 0.08), 2.1, 36),
        ellipsoid("muzzle", (0, 0.278, 0.078), (0.042, 0.034, 0.036), 2.0, 24),
        ellipsoid("muzzle", (0, 0.12, 0.035), (0.066, 0.085, 0.056), 2.1, 28),
        ellipsoid("eyes", (0, 0.294, 0.110), (0.013, 0.009, 0.008), 2.0, 14),
    ]
    for s in (-1, 1):
        parts.append(ellipsoid("bear", (s * 0.068, 0.372, 0.0), (0.034, 0.034, 0.017), 2.0, 24))
        parts.append(ellipsoid("muzzle", (s * 0.068, 0.371, 0.01), (0.021, 0.021, 0.012), 2.0, 20))
        parts.append(ellipsoid("eyes", (s * 0.034, 0.318, 0.083), (0.0085, 0.0095, 0.007), 2.0, 14))
        arm = curve([(s * 0.07, 0.205, 0.01), (s * 0.118, 0.15, 0.04), (s * 0.112, 0.095, 0.085)], 16)
        parts.append(_limb(arm, 0.034, 0.031))
        thigh = curve([(s * 0.055, 0.05, 0.0), (s * 0.082, 0.048, 0.08), (s * 0.095, 0.05, 0.15)], 16)
        parts.append(_limb(thigh, 0.048, 0.042))
        parts.append(ellipsoid("bear", (s * 0.097, 0.062, 0.165), (0.042, 0.060, 0.028), 2.1, 24))
        parts.append(ellipsoid("muzzle", (s * 0.098, 0.062, 0.185), (0.027, 0.036, 0.012), 2.0, 20))
    return fitted(parts, size)


def _limb(path: np.ndarray, start: float, end: float) -> Part:
    share = np.linspace(0, 1, len(path))
    swell = np.sqrt(np.clip(1 - (2 * share - 1) ** 6, 0.05, 1))
    return rod("bear", path, (start + (end - start) * share) * swell, 20, 0.004)


def toy_teepee(size: Size, seed: int) -> list[Part]:
    """A play tent: canvas on four crossed poles, its door drawn aside, a cushion inside."""
    half, peak = 0.56, 1.28
    knot = np.array([0, peak, 0])
    feet = [np.array([sx * half, 0, sz * half]) for sx, sz in ((-1, 1), (-1, -1), (1, -1), (1, 1))]
    parts = []
    for foot in feet:
        over = knot + (knot - foot) * 0.17
        parts.append(leg("poles", foot, over, 0.013, 0.011))
    for a, b in pairwise(feet):
        parts.append(_sail(a, b, knot, (0.0, 1.0), (0.0, 1.0)))
    for a, b in ((feet[0], feet[3]), (feet[3], feet[0])):
        parts.append(_sail(a, b, knot, (0.0, 0.20), (0.0, 0.5)))
    parts.append(slab("cloth", ellipse(0.95, 0.95, 48), 0.0, 0.05, 0.02, 0.006))
    return fitted(parts, size)


def _sail(a: np.ndarray, b: np.ndarray, knot: np.ndarray, foot: tuple[float, float], head: tuple[float, float]) -> Part:
    """Canvas between two poles from the hem to the knot; `foot` and `head` give how far across it reaches."""
    up, across = np.meshgrid(np.linspace(0.015, 0.955, 22), np.linspace(0, 1, 18), indexing="ij")
    share = (foot[0] + (head[0] - foot[0]) * up**2) + across * (
        foot[1] - foot[0] + (head[1] - head[0] - foot[1] + foot[0]) * up**2
    )
    edge = a + (b - a) * share[..., None]
    points = edge * (1 - up[..., None]) + knot * up[..., None]
    middle = (a + b) / 2
    inward = -middle / np.linalg.norm(middle)
    sag = 0.07 * np.sin(np.pi * np.clip(share, 0, 1)) * (1 - up) * np.sin(np.pi * np.clip(up, 0, 1)) ** 0.5
    ripple = 0.006 * np.sin(22 * share + 3 * up) * (1 - up)
    return shell("cloth", points + inward * (sag + ripple)[..., None], 0.004)


DESIGNS: tuple[Design, ...] = (
    Design("toy_blocks", Kind.TOY, (0.28, 0.22, 0.19), (0.18, 0.14, 0.12), (0.4, 0.32, 0.28), ("blocks",), toy_blocks),
    Design(
        "toy_bear",
        Kind.TOY,
        (0.3, 0.4, 0.28),
        (0.2, 0.26, 0.18),
        (0.6, 0.8, 0.56),
        ("bear", "muzzle", "eyes"),
        toy_bear,
    ),
    Design("toy_teepee", Kind.TOY, (1.2, 1.55, 1.2), (0.9, 1.2, 0.9), (1.4, 1.75, 1.4), ("cloth", "poles"), toy_teepee),
)
