"""Curtains on a rod. Roles: cloth, rod."""

from __future__ import annotations

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved, tube
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.shells import Shell, fitted, grid_faces, lumps
from listing_media_dagster.staging.furniture.soft_solids import cord, rounded_box

ROD, GATHERED = 0.011, 0.24  # m; the share of the width that each drawn-back panel takes


def drawn_curtains(size: Size, seed: int) -> list[Part]:
    """A pair of pleated panels drawn back to both ends of a rod with round finials; they end just off the floor."""
    width, height, depth = size
    rod_y, rod_z = height - 0.03, 0.0
    end = width / 2 - 0.03
    parts = [tube("rod", [(-end, rod_y, rod_z), (end, rod_y, rod_z)], ROD, 16)]
    for side in (-1, 1):
        ball = rounded_box((0.056, 0.056, 0.056), 0.028, 0.02).part("rod")
        parts += moved([ball], None, (side * end, rod_y, rod_z))
        arm = [(side * (end - 0.05), rod_y, rod_z), (side * (end - 0.05), rod_y, -depth / 2)]
        parts.append(tube("rod", arm, 0.007, 10))
        panel = max(0.25, GATHERED * width)
        outer = side * (end - 0.07)
        low, high = sorted((outer, outer - side * panel))
        parts += _panel(low, high, 0.015, rod_y - 0.028, depth, 2 * seed + (side > 0))
    return fitted(parts, size)


def _panel(x0: float, x1: float, y0: float, y1: float, depth: float, seed: int) -> list[Part]:
    """Cloth in pinch pleats under rings, opening into soft tubes that wander a little on their way down."""
    rng = np.random.default_rng(seed)
    pleats = max(3, round((x1 - x0) / 0.085))
    columns, rows = pleats * 14 + 1, 28
    s, fall = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows) ** 1.3, indexing="ij")
    flat = np.stack([s.ravel() * (x1 - x0), 0.35 * fall.ravel()], 1)
    wander = lumps(flat, seed, 0.3).reshape(s.shape) * (0.3 + fall)
    phase = 2 * np.pi * (pleats * s + 0.10 * wander)
    swing = depth / 2 * (0.34 + 0.40 * np.clip(fall * 5, 0, 1) + 0.10 * fall)
    wave = np.sign(np.sin(phase)) * np.abs(np.sin(phase)) ** 0.8
    z = swing * wave + 0.012 * fall * wander
    x = x0 + (x1 - x0) * s + 0.016 * np.sin(2 * phase) * np.clip(fall * 4, 0, 1) + 0.008 * wander * fall
    x += (x - (x0 + x1) / 2) * 0.08 * fall
    y = y1 + (y0 - y1) * fall
    run = np.cumsum(np.hypot(np.diff(x, axis=0, prepend=x[:1]), np.diff(z, axis=0, prepend=z[:1])), axis=0)
    uv = np.stack([run + s * 1e-3, y - y0], -1)
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    cloth = Shell(points, uv.reshape(-1, 2), grid_faces(columns, rows, turned_over=True), np.arange(len(points)))
    ring = np.linspace(0, 2 * np.pi, 21)[:-1]
    parts = [cloth.part("cloth")]
    for number in range(pleats + 1):
        at = x0 + (x1 - x0) * (number + rng.uniform(-0.06, 0.06)) / pleats
        loop = np.stack([at + 0.003 * np.cos(ring), y1 + 0.026 + 0.021 * np.sin(ring), 0.021 * np.cos(ring)], 1)
        parts.append(cord("rod", loop, 0.0025))
    return parts
