"""The camera's tone curve, read from the bracket itself: what a pixel value says about the light behind it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_VALUES = np.arange(256) / 255.0
_BENDS = np.stack([(1 - _VALUES) ** power for power in (1, 2, 3)], axis=1)
SAMPLES_PER_PAIR = 4000


def srgb_response() -> NDArray[np.float64]:
    """log2 of the light for each 8-bit value under the sRGB curve, 0 EV at 255."""
    linear = np.where(_VALUES <= 0.04045, _VALUES / 12.92, ((_VALUES + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.log2(np.maximum(linear, 2e-4)), np.float64)


def estimate_response(small: Sequence[NDArray[np.uint8]], exposures_ev: Sequence[float]) -> NDArray[np.float64]:
    """Return `g`, float64 (256,): log2 of the light behind each value, 0 EV at 255, increasing.

    small: aligned uint8 (h, w, 3) frames; exposures_ev: EV of each. The same surface seen in two frames must
    differ by their EV: a low-order bend of the sRGB curve is fitted to that, outliers (movement, flare) losing
    their weight. Falls back to sRGB where the frames say too little. After Debevec & Malik 1997, with fewer unknowns.
    """
    base = srgb_response()
    order = sorted(range(len(small)), key=lambda k: exposures_ev[k])
    chance = np.random.default_rng(0)
    rows: list[NDArray[np.float64]] = []
    wanted: list[NDArray[np.float64]] = []
    for i, j in pairwise(order):
        dark, bright = small[i].ravel(), small[j].ravel()
        both = np.flatnonzero((dark > 8) & (dark < 235) & (bright > 20) & (bright < 235))
        if len(both) < 500:
            continue
        pick = chance.choice(both, SAMPLES_PER_PAIR)
        rows.append(_BENDS[bright[pick]] - _BENDS[dark[pick]])
        wanted.append((exposures_ev[j] - exposures_ev[i]) - (base[bright[pick]] - base[dark[pick]]))
    if not rows:
        return base
    response = base + _BENDS @ _robust_least_squares(np.concatenate(rows), np.concatenate(wanted))
    return response if bool(np.all(np.diff(response)[2:] > 0)) else base


def estimate_exposures(small: Sequence[NDArray[np.uint8]], reference: int) -> list[float]:
    """EV of each frame relative to the reference, from the pictures alone, under the sRGB curve."""
    base = srgb_response()
    order = sorted(range(len(small)), key=lambda k: float(small[k].mean()))
    ev = {order[0]: 0.0}
    for i, j in pairwise(order):
        dark, bright = small[i].ravel(), small[j].ravel()
        both = (dark > 25) & (bright < 235)
        if both.sum() < 200:
            both = (dark > 8) & (bright < 235)
        step = float(np.median(base[bright[both]] - base[dark[both]])) if both.sum() > 200 else 2.0
        ev[j] = ev[i] + max(step, 0.0)
    return [ev[k] - ev[reference] for k in range(len(small))]


def _robust_least_squares(rows: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = np.ones(len(wanted))
    solution: NDArray[np.float64] = np.zeros(rows.shape[1])
    for _ in range(10):
        weighted = rows * weight[:, None]
        ridge = 1e-3 * len(wanted) * np.eye(rows.shape[1])
        solution = np.asarray(np.linalg.solve(weighted.T @ rows + ridge, weighted.T @ wanted), np.float64)
        weight = 1 / np.maximum(np.abs(wanted - rows @ solution), 0.1)
    return solution
