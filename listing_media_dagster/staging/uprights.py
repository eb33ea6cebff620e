"""Upright edges on a wall that belong to no opening that was made out: of doors and hearths that weren't, of corners.

Whatever they are, nothing should hang across one and nothing stand before one as if the wall went on there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.doorframes import FAINT, OVER_NOISE, SAME_WAY, Gradient
from listing_media_dagster.staging.flat_wall import Flat
from listing_media_dagster.staging.room import Opening, Upright

BANDS = (0.16, 0.5, 0.85, 1.2, 1.5)  # camera heights; an edge is looked for between each two
APART = 2  # px of the flattened wall within which the edge of one band is that of the next
BESIDE = 0.12  # camera heights round an opening, whose edges are known
CORNER = 0.22  # camera heights from the wall's ends: seen at a slant, a corner's own edge lies off by as much
SURE = 2.5  # times `FAINT`: a third of a jamb tells less than all of it


def find_uprights(flat: Flat, gradient: Gradient, openings: Sequence[Opening], height: float) -> tuple[Upright, ...]:
    """Return the upright edges on a wall, left to right along it, apart from those of its `openings`.

    `height` m is the camera's.
    """
    unit, rows = height / flat.metres, len(flat.lab)
    known = _known_columns(flat, openings, unit)
    edges: list[tuple[int, int]] = []
    for band, (low, high) in enumerate(pairwise(BANDS)):
        within = slice(rows - int(high * unit), rows - int(low * unit))
        if within.start < 0:
            break
        strength, agree = gradient.upright(within)
        least = max(SURE * FAINT, OVER_NOISE * float(np.median(strength)))
        for at in np.flatnonzero((strength > least) & (agree > SAME_WAY) & ~known):
            before, after = strength[max(0, at - APART) : at], strength[at + 1 : at + APART + 1]
            if strength[at] > before.max(initial=0.0) and strength[at] >= after.max(initial=0.0):
                edges.append((int(at), band))
    return tuple(
        Upright(flat.left + (at + 0.5) * flat.metres, BANDS[first] * height, BANDS[last + 1] * height)
        for at, first, last in _joined(edges)
    )


def _known_columns(flat: Flat, openings: Sequence[Opening], unit: float) -> NDArray[np.bool_]:
    beside, corner = int(BESIDE * unit) + 1, int(CORNER * unit) + 1
    known = np.zeros(flat.lab.shape[1], bool)
    known[:corner] = known[-corner:] = True
    for opening in openings:
        left, right = (int((at - flat.left) / flat.metres) for at in opening.span)
        known[max(0, left - beside) : max(0, right + beside + 1)] = True
    return known


def _joined(edges: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Return (column, first band, last band) of edges (column, band), lowest first, that go on from band to band."""
    joined: list[tuple[int, int, int]] = []
    for at, band in edges:
        below = next((edge for edge in joined if abs(edge[0] - at) <= APART and edge[2] == band - 1), None)
        if below is None:
            joined.append((at, band, band))
        else:
            joined[joined.index(below)] = (at, below[1], band)
    return sorted(joined)
