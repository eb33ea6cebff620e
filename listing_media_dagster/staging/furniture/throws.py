"""A folded throw: hung over a sofa's arm, or laid flat in a stack. Role: cloth, or throw on a sofa."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.shells import fitted, lumps
from listing_media_dagster.staging.furniture.soft_solids import rounded_box, yarns
from listing_media_dagster.staging.furniture.textiles import Cloth, Couch, draped

FLAT = 0.16  # m: up to this height a throw is a stack, above it hangs
LAID, TASSEL = 0.44, 0.045  # m of an arm that a throw covers, and of its fringe
FALL = 0.46  # m that it hangs at most


@dataclass(frozen=True)
class Arm:
    """A sofa's arm, as both its sides have one: its middle is at `x`, what a throw covers of it ends at `front`, in m.

    It is `top` m high there and rises by `rise` toward the sofa's middle; its upper edges are rounded by `round_by` m.
    A throw hangs down by `fall` m.
    """

    x: float
    width: float
    top: float
    front: float
    fall: float
    round_by: float = 0.045
    rise: float = 0.0


def over_arm(arm: Arm, seed: int) -> list[Part]:
    """Return a fringed throw over the front half of one arm; its inner end is tucked in beside the seat."""
    side = 1 if np.random.default_rng(seed + 70).random() < 0.5 else -1
    fall = min(arm.fall, FALL)
    half = max(0.01, arm.width / 2 - arm.round_by)
    near = Couch(-half, half, arm.front - LAID, arm.front, fall, arm.round_by + 0.006)
    upper = near.over(arm.front - LAID + 0.05, arm.front - 0.03, 0.013)
    parts = [
        draped("throw", near, Cloth(fall - 0.06, 0.0, 0.012, 0.004, 0.008, seed, 0.02), 0.03),
        draped("throw", upper, Cloth(fall - 0.13, 0.0, 0.012, 0.004, 0.008, seed, 0.02), 0.03),
    ]
    parts += _fringe(parts[0], TASSEL, seed)

    def placed(piece: Part) -> Part:
        x, y, z = piece.vertices.T
        y = y + arm.top - fall + arm.rise * np.clip(1 - z / arm.front, 0, 1)
        return replace(piece, vertices=np.stack([x + side * arm.x, y, z], 1).astype(np.float32))

    return [placed(piece) for piece in parts]


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
        parts.append(
            yarns(cloth.material, np.stack([np.stack(np.broadcast_arrays(*knot), 1) for knot in knots], 1), 0.0028)
        )
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
