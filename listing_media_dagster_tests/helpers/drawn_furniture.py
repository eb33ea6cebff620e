"""Furniture drawn as shaded boxes in a moment, where path tracing isn't what is tested."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.solids import turned
from listing_media_dagster.staging.arrangement import Arrangement, PlacedPiece
from listing_media_dagster.staging.back_ends import Progress
from listing_media_dagster.staging.composite import StagedPixels
from listing_media_dagster.staging.rendered import FurnishableRoom

FINER = 3


@dataclass(frozen=True)
class BoxedRoom(FurnishableRoom):
    """A surveyed room whose pieces are drawn as boxes with the grain of cloth, and a soft shadow on the floor."""

    def pixels(self, arrangement: Arrangement, progress: Progress) -> StagedPixels:
        base = self.request.base.astype(np.float32)
        height, width = base.shape[:2]
        furniture = np.zeros((height, width), np.float32)
        depth = np.full((height, width), 6.0, np.float32)
        pieces = np.zeros_like(base)
        grain = np.random.default_rng(0).normal(0, 12, (height, width, 1)).astype(np.float32)
        for number, piece in enumerate(sorted(arrangement.pieces, key=lambda each: each.position[2])):
            outline = cv2.convexHull(self.geometry.camera.project(_corners(piece)).astype(np.float32))
            canvas = np.zeros((height * FINER, width * FINER), np.uint8)
            cv2.fillConvexPoly(canvas, np.rint(outline * FINER).astype(np.int32), 255)
            alpha = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
            cloth = grain + np.array([90 + 40 * (number % 3), 100, 80], np.float32)
            pieces += alpha[..., None] * (cloth - pieces)
            furniture += alpha * (1 - furniture)
            depth[alpha > 0.5] = -piece.position[2]
        side = max(height, width)
        shade = cv2.GaussianBlur(furniture, (0, 0), 0.02 * side) * self.geometry.floor
        shade = np.where(shade > 0.02, shade, 0)
        lit = base * (1 - 0.25 * shade[..., None])
        made = lit + furniture[..., None] * (pieces - lit)
        return StagedPixels(
            rgb=np.clip(np.rint(made), 0, 255).astype(np.uint8),
            edit_mask=(furniture > 0) | (shade > 0),
            furniture=furniture,
            depth=depth,
            light=None,  # type: ignore[arg-type]  # of no interest to a model
            gloss=0.0,
        )


def _corners(piece: PlacedPiece) -> NDArray[np.float64]:
    signs = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (0, 1) for z in (-0.5, 0.5)])
    return np.asarray(signs * piece.size @ np.asarray(turned(piece.turn)).T + piece.position, float)
