"""A folded throw: hung over a sofa's arm or back, or laid flat in a stack. Role: cloth."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.soft_solids import fitted, lumps, rounded_box
from listing_media_dagster.staging.furniture.textiles import Cloth, Couch, draped

FLAT = 0.16  # m: up to this height a throw is a stack, above it hangs


def folded_throw(size: Size, seed: int) -> list[Part]:
    """Up to `FLAT` m high a folded stack; higher, it hangs down at -x and +x from an arm as wide as itself."""
    return fitted(_stack(size, seed) if size[1] <= FLAT else _hung(size, seed), size)


def _hung(size: Size, seed: int) -> list[Part]:
    """Two layers, the upper one a little askew, so that folded edges show."""
    width, height, depth = size
    radius, flare, wave = 0.045, 0.03, 0.012
    half = max(0.02, width / 2 - radius - 0.03)
    parts: list[Part] = []
    for number, (trim, layer) in enumerate(((0.0, 0.0), (0.035, 0.016))):
        couch = Couch(-half - layer, half + layer, -depth / 2 + trim, depth / 2 - trim / 2, height + layer, radius)
        cloth = Cloth(height - 0.02 - 1.6 * trim, 0.0, 0.016, 0.006, wave, seed, flare)
        parts.append(draped("cloth", couch, cloth, 0.022))
        del number
    return parts


def _stack(size: Size, seed: int) -> list[Part]:
    width, height, depth = size
    layers = max(2, round(height / 0.028))
    parts: list[Part] = []
    rng = np.random.default_rng(seed)
    for number in range(layers):
        each = height / layers
        shell = rounded_box((width - 0.012 * rng.random(), each * 1.04, depth - 0.02 * rng.random()), each * 0.5, 0.035)
        rise = 0.0025 * lumps(shell.points[:, [0, 2]], seed, 0.2) + 0.0012 * lumps(
            shell.points[:, [0, 2]], seed + 1, 0.07
        )
        folded = shell.shaped(lambda points, rise=rise: points + np.stack([0 * rise, rise, 0 * rise], 1))
        parts += moved([folded.part("cloth")], None, (rng.uniform(-0.004, 0.004), each * (number + 0.5), 0))
    return parts
