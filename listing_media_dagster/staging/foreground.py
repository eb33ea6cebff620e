"""What stands before the furniture: pillars, counters, half walls, anything that rises from the floor nearer to us.

The photo shows floor up to where something rises from it. Seen from above that is how far one sees in each direction,
and what lies farther than that is hidden, at all heights: where a thing ends above isn't asked, so that low ones
keep free what might show over them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from listing_media_dagster.staging.arrays import Floats, Mask
from listing_media_dagster.staging.room import PhotoCamera, RoomGeometry

NEARLY, NEARLY_SHARE = 0.3, 0.06  # m, and share of the distance, by which a wall's foot may be found too near


@dataclass(frozen=True)
class SightLines:
    """How far one sees along the floor: `reach` m (N,) at each `azimuth` (N,) from the left to the right, 0 ahead.

    Beyond the first and the last azimuth, and where the photo shows no floor, nothing is known to hide anything.
    """

    azimuth: Floats
    reach: Floats

    def hides(self, points: Floats) -> Mask:
        """Say which of the points (N, 3) m lie behind something that rises from the floor."""
        azimuth, away = _polar(np.asarray(points, float).reshape(-1, 3))
        if len(self.azimuth) < 2:
            return np.zeros(len(azimuth), np.bool_)
        after = np.clip(np.searchsorted(self.azimuth, azimuth), 1, len(self.azimuth) - 1)
        nearest = after - (azimuth - self.azimuth[after - 1] < self.azimuth[after] - azimuth)
        known = (azimuth >= self.azimuth[0]) & (azimuth <= self.azimuth[-1])
        return np.asarray(known & (away > self.reach[nearest] * (1 + NEARLY_SHARE) + NEARLY))


def sight_lines(geometry: RoomGeometry) -> SightLines:
    """Return how far the floor is seen in the photo, column by column."""
    floor = geometry.floor
    camera = geometry.camera.scaled((floor.shape[1], floor.shape[0]))
    foot = _foot(floor, camera)
    azimuth, reach = _polar(foot)
    reach = np.where(np.isfinite(reach), reach, np.inf)
    known = np.isfinite(azimuth)
    order = np.argsort(azimuth[known], kind="stable")
    return SightLines(azimuth[known][order], reach[known][order])


def _foot(floor: Mask, camera: PhotoCamera) -> Floats:
    """Return where (W, 3) m the floor ends in each column, infinitely far where a column shows none of it."""
    columns = np.arange(floor.shape[1]) + 0.5
    rows = floor.argmax(axis=0).astype(float)
    foot = camera.on_floor(np.column_stack([columns, rows]))
    endless = ~floor.any(axis=0) | ~np.isfinite(foot).all(axis=1)
    ahead = camera.rays(np.column_stack([columns, np.full(len(columns), float(len(floor)))]))
    foot[endless] = ahead[endless] * (1e6, 0, 1e6)
    return foot


def _polar(points: Floats) -> tuple[Floats, Floats]:
    """Return the azimuth (N,) and the distance along the floor (N,) m of points (N, 3) from the camera."""
    return np.arctan2(points[:, 0], -points[:, 2]), np.hypot(points[:, 0], points[:, 2])
