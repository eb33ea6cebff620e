"""A folded throw: hung over a sofa's arm or back, or laid flat in a stack. Role: cloth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.shells import fitted, lumps
from listing_media_dagster.staging.furniture.soft_solids import rounded_box, yarns
from listing_media_dagster.staging.furniture.textiles import Cloth, Couch, draped

FLAT = 0.16  # m: up to this height a throw is a stack, above it hangs


def folded_throw(size: Size, seed: int) -> list[Part]:
    """Up to `FLAT` m high a folded stack; higher, it hangs down at -x and +x from an arm as wide as itself."""
    return fitted(_stack(size, seed) if size[1] <= FLAT else _hung(size, seed), size)


def _hung(size: Size, seed: int) -> list[Part]:
    """Two layers, the upper one shorter, so that folded edges show; a fringe along the lower one's ends."""
    width, height, depth = size
    radius, tassel = 0.045, 0.045
    half = max(0.02, width / 2 - radius - 0.03)
    lower = Couch(-half, half, -depth / 2, depth / 2, height, radius)
    upper = lower.over(-depth / 2 + 0.05, depth / 2 - 0.02, 0.015)
    fall = height - tassel - 0.02
    parts = [
        draped("cloth", lower, Cloth(fall, 0.0, 0.014, 0.006, 0.02, seed, 0.03), 0.02),
        draped("cloth", upper, Cloth(fall - 0.05, 0.0, 0.014, 0.006, 0.02, seed, 0.03), 0.02),
    ]
    return [*parts, *_fringe(parts[0], tassel, seed)]


def _fringe(cloth: Part, tassel: float, seed: int) -> list[Part]:
    """Yarns hanging from the two lower hems of a hung cloth."""
    rng = np.random.default_rng(seed)
    low = cloth.vertices[:, 1].min()
    parts: list[Part] = []
    for side in (-1, 1):
        hem = cloth.vertices[(cloth.vertices[:, 1] < low + 0.02) & (side * cloth.vertices[:, 0] > 0)].astype(np.float64)
        z = np.arange(hem[:, 2].min() + 0.012, hem[:, 2].max() - 0.008, 0.011)
        order = np.argsort(hem[:, 2])
        x = np.interp(z, hem[order, 2], hem[order, 0])
        stray = rng.uniform(-0.005, 0.005, (2, len(z)))
        knots = ((x, low + 0.012, z), (x, low - tassel / 2, z + stray[0]), (x, low - tassel, z + stray.sum(0)))
        parts.append(yarns("cloth", np.stack([np.stack(np.broadcast_arrays(*knot), 1) for knot in knots], 1), 0.0028))
    return parts


def _stack(size: Size, seed: int) -> list[Part]:
    width, height, depth = size
    layers = max(2, round(height / 0.028))
    parts: list[Part] = []
    rng = np.random.default_rng(seed)
    for number in range(layers):
        each = height / layers
        shell = rounded_box((width - 0.012 * rng.random(), each * 1.04, depth - 0.02 * rng.random()), each * 0.5, 0.035)
        flat = shell.points[:, [0, 2]]
        rise = 0.0025 * lumps(flat, seed, 0.2) + 0.0012 * lumps(flat, seed + 1, 0.07)
        folded = replace(shell, points=shell.points + rise[:, None] * [0.0, 1.0, 0.0])
        parts += moved([folded.part("cloth")], None, (rng.uniform(-0.004, 0.004), each * (number + 0.5), 0))
    return parts
