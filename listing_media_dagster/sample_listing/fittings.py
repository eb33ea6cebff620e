"""What stands in the rooms that aren't empty: kitchen units, bathroom ceramics, a dining table with chairs.

Kitchen and bathroom pieces are in a wall's frame (see `joinery`); furniture is in the room's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from listing_media_dagster.path_tracer import solids as g
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.sample_listing import joinery as j

WORKTOP = 0.91


def base_units(
    modules: Sequence[tuple[float, float, str]], material: str = "cabinet", depth: float = 0.58
) -> list[Part]:
    """Base cabinets: (x0, x1, kind) with kind door, doors, drawers, sink or oven."""
    pieces = []
    for x0, x1, kind in modules:
        if kind == "gap":
            continue
        pieces.append(g.box("shadow", (x0, 0.0, -depth + 0.07), (x1, 0.1, 0)))
        pieces.append(g.box(material, (x0 + 0.001, 0.1, -depth), (x1 - 0.001, WORKTOP - 0.035, -0.002)))
        pieces.append(g.box("shadow", (x0, 0.1, -depth - 0.001), (x1, WORKTOP - 0.036, -depth)))
        if kind in ("doors", "sink"):
            middle = (x0 + x1) / 2
            pieces += j.shaker_front(x0, 0.105, middle, WORKTOP - 0.045, -depth, material, "right")
            pieces += j.shaker_front(middle, 0.105, x1, WORKTOP - 0.045, -depth, material, "left")
        elif kind == "door":
            pieces += j.shaker_front(x0, 0.105, x1, WORKTOP - 0.045, -depth, material, "left")
        elif kind == "drawers":
            for low, high in ((0.105, 0.40), (0.40, 0.68), (0.68, WORKTOP - 0.045)):
                pieces += j.shaker_front(x0, low, x1, high, -depth, material, "top")
        elif kind == "oven":
            pieces += oven(x0, x1, depth)
    return pieces


def oven(x0: float, x1: float, depth: float) -> list[Part]:
    z = -depth
    pieces = [
        g.box("black glass", (x0 + 0.005, 0.26, z - 0.022), (x1 - 0.005, 0.735, z), 0.003),
        g.box("steel", (x0 + 0.005, 0.745, z - 0.022), (x1 - 0.005, 0.862, z), 0.003),
        g.box("steel", (x0 + 0.005, 0.11, z - 0.02), (x1 - 0.005, 0.25, z), 0.003),
        g.box("black glass", (x0 + 0.23, 0.775, z - 0.0235), (x1 - 0.23, 0.835, z - 0.02), 0.001),
        g.tube("steel", [(x0 + 0.05, 0.69, z - 0.065), (x1 - 0.05, 0.69, z - 0.065)], 0.010, 14),
    ]
    pieces += [g.tube("steel", [(x, 0.69, z - 0.065), (x, 0.69, z - 0.02)], 0.007, 10) for x in (x0 + 0.08, x1 - 0.08)]
    pieces += [
        g.tube("black", [(x, 0.803, z - 0.022), (x, 0.803, z - 0.045)], 0.019, 20)
        for x in (x0 + 0.07, x0 + 0.15, x1 - 0.15, x1 - 0.07)
    ]
    top = WORKTOP + 0.001
    pieces.append(g.box("black glass", (x0 + 0.02, top, z + 0.03), (x1 - 0.02, top + 0.006, -0.07), 0.003))
    for cx, cz, r in (
        (x0 + 0.17, z + 0.16, 0.09),
        (x1 - 0.17, z + 0.16, 0.075),
        (x0 + 0.17, -0.2, 0.075),
        (x1 - 0.17, -0.2, 0.09),
    ):
        pieces.append(
            g.lathe("plastic shade", [(r - 0.0015, 0.0), (r, 0.0004), (r + 0.0015, 0.0)], (cx, top + 0.0062, cz))
        )
    return pieces


def worktop(x0: float, x1: float, sink: tuple[float, float] | None = None, depth: float = 0.62) -> list[Part]:
    """Stone top with an upstand; `sink` (from, to) cuts a steel basin with a gooseneck tap into it."""
    low, high = WORKTOP - 0.035, WORKTOP
    if sink is None:
        return [g.box("counter", (x0, low, -depth), (x1, high, 0), 0.004)]
    a, b = sink
    front, back = -0.50, -0.12
    pieces = [
        g.box("counter", (x0, low, -depth), (a, high, 0), 0.003),
        g.box("counter", (b, low, -depth), (x1, high, 0), 0.003),
        g.box("counter", (a - 0.002, low, -depth), (b + 0.002, high, front), 0.003),
        g.box("counter", (a - 0.002, low, back), (b + 0.002, high, 0), 0.003),
    ]
    bottom = high - 0.20
    pieces += [
        g.box("steel", (a, bottom - 0.01, front), (b, bottom, back)),
        g.box("steel", (a - 0.006, bottom, front), (a, high - 0.012, back)),
        g.box("steel", (b, bottom, front), (b + 0.006, high - 0.012, back)),
        g.box("steel", (a, bottom, front - 0.006), (b, high - 0.012, front)),
        g.box("steel", (a, bottom, back), (b, high - 0.012, back + 0.006)),
        g.lathe("chrome", [(0.0, 0.001), (0.03, 0.003), (0.042, 0.0)], ((a + b) / 2, bottom, (front + back) / 2)),
    ]
    x, z = (a + b) / 2, -0.07
    arc = [(x, high + 0.30 + 0.095 * np.sin(t), z - 0.095 + 0.095 * np.cos(t)) for t in np.linspace(0, np.pi, 14)]
    pieces.append(g.tube("chrome", [(x, high, z), (x, high + 0.28, z), *arc, (x, high + 0.22, z - 0.19)], 0.012, 16))
    pieces.append(g.tube("chrome", [(x, high, z), (x, high + 0.05, z)], 0.023, 20))
    pieces.append(
        g.tube(
            "chrome",
            [(x + 0.02, high + 0.07, z), (x + 0.05, high + 0.085, z), (x + 0.10, high + 0.12, z - 0.02)],
            0.007,
            10,
        )
    )
    return pieces


def wall_units(
    x0: float, x1: float, count: int, y0: float = 1.45, y1: float = 2.18, material: str = "cabinet upper"
) -> list[Part]:
    pieces = [
        g.box(material, (x0, y0, -0.33), (x1, y1, -0.001)),
        g.box("shadow", (x0, y0, -0.331), (x1, y1, -0.33)),
        g.box(material, (x0 - 0.012, y1, -0.365), (x1 + 0.012, y1 + 0.06, -0.001), 0.012),
    ]
    step = (x1 - x0) / count
    for i in range(count):
        side = "right" if i % 2 == 0 and count > 1 else "left"
        pieces += j.shaker_front(x0 + i * step, y0, x0 + (i + 1) * step, y1, -0.33, material, side)
    return pieces


def hood(x0: float, x1: float, ceiling: float) -> list[Part]:
    middle = (x0 + x1) / 2
    slope = [
        g.quad("steel", (x0, 1.63, -0.5), (x1 - x0, 0, 0), (0, 0.17, 0.2), (0, 0.6, -0.8)),
        g.quad("steel", (x0, 1.63, -0.5), (0, 0, 0.5), (0.14, 0.17, 0), (-0.8, 0.6, 0)),
        g.quad("steel", (x1, 1.63, -0.5), (0, 0, 0.5), (-0.14, 0.17, 0), (0.8, 0.6, 0)),
    ]
    return [
        g.box("steel", (x0, 1.56, -0.5), (x1, 1.63, 0), 0.002),
        *slope,
        g.box("steel", (middle - 0.15, 1.7, -0.31), (middle + 0.15, ceiling, 0), 0.003),
        g.box("shadow", (x0 + 0.04, 1.558, -0.46), (x1 - 0.04, 1.561, -0.04)),
    ]


def fridge(x0: float, x1: float, height: float = 1.86, depth: float = 0.66) -> list[Part]:
    split = height * 0.36
    pieces = [g.box("steel dark", (x0, 0.03, -depth + 0.05), (x1, height, -0.02), 0.004)]
    for low, high in ((0.06, split - 0.004), (split + 0.004, height)):
        pieces.append(g.box("steel", (x0, low, -depth - 0.01), (x1, high, -depth + 0.045), 0.012))
    for low, high in ((split - 0.42, split - 0.06), (split + 0.06, split + 0.62)):
        x = x0 + 0.06
        pieces.append(g.tube("chrome", [(x, low, -depth - 0.055), (x, high, -depth - 0.055)], 0.011, 14))
        pieces += [
            g.tube("chrome", [(x, y, -depth - 0.055), (x, y, -depth)], 0.008, 10) for y in (low + 0.03, high - 0.03)
        ]
    return pieces


def vanity(x0: float, x1: float, mirror: j.Opening) -> list[Part]:
    """Wall-hung drawer unit with a ceramic basin and tap; a frame round the `mirror` opening and a lamp over it."""
    middle = (x0 + x1) / 2
    pieces = [g.box("oak", (x0, 0.32, -0.46), (x1, 0.82, 0), 0.002)]
    for low, high in ((0.325, 0.57), (0.575, 0.815)):
        pieces.append(g.box("oak", (x0 + 0.003, low, -0.48), (x1 - 0.003, high, -0.46), 0.002))
        pieces.append(g.box("black", (middle - 0.1, high - 0.03, -0.5), (middle + 0.1, high - 0.02, -0.48), 0.003))
    rim = [
        (0.0, 0.035),
        (0.12, 0.038),
        (0.185, 0.075),
        (0.205, 0.13),
        (0.212, 0.135),
        (0.217, 0.128),
        (0.19, 0.02),
        (0.17, 0.0),
    ]
    pieces.append(g.box("counter", (x0 - 0.01, 0.82, -0.49), (x1 + 0.01, 0.85, 0), 0.004))
    pieces.append(g.lathe("ceramic", rim, (middle, 0.85, -0.26), (1.15, 0.85)))
    pieces.append(g.lathe("chrome", [(0.0, 0.004), (0.02, 0.003), (0.026, 0.0)], (middle, 0.886, -0.26)))
    arc = [(middle, 1.06 + 0.05 * np.sin(t), -0.10 + 0.05 * np.cos(t)) for t in np.linspace(0, np.pi, 9)]
    pieces.append(
        g.tube("chrome", [(middle, 0.85, -0.05), (middle, 1.04, -0.05), *arc, (middle, 1.03, -0.15)], 0.011, 14)
    )
    pieces.append(
        g.tube(
            "chrome",
            [(middle + 0.09, 0.85, -0.05), (middle + 0.09, 0.92, -0.05), (middle + 0.09, 0.925, -0.11)],
            0.009,
            12,
        )
    )
    pieces += g.frame(
        "black", (mirror[0] - 0.01, mirror[1] - 0.01, -0.02), (mirror[2] + 0.01, mirror[3] + 0.01, 0.0), 0.016, 0.003
    )
    pieces.append(g.box("steel", (middle - 0.22, 2.06, -0.09), (middle + 0.22, 2.075, 0), 0.003))
    pieces.append(g.tube("lamp", [(middle - 0.2, 2.045, -0.085), (middle + 0.2, 2.045, -0.085)], 0.022, 16))
    return pieces


def toilet(x: float) -> list[Part]:
    """Close-coupled toilet, its back to the wall."""
    bowl = [
        (0.0, 0.0),
        (0.105, 0.0),
        (0.11, 0.02),
        (0.10, 0.12),
        (0.12, 0.22),
        (0.165, 0.32),
        (0.185, 0.385),
        (0.182, 0.40),
        (0.0, 0.40),
    ]
    lid = [(0.0, 0.03), (0.15, 0.03), (0.182, 0.022), (0.19, 0.008), (0.186, 0.0), (0.0, 0.0)]
    return [
        g.lathe("ceramic", bowl, (x, 0, -0.44), (1.0, 1.38)),
        g.box("ceramic", (x - 0.10, 0.0, -0.36), (x + 0.10, 0.36, -0.03), 0.04),
        g.lathe("ceramic", lid, (x, 0.405, -0.44), (1.0, 1.36)),
        g.box("ceramic", (x - 0.19, 0.38, -0.19), (x + 0.19, 0.79, -0.012), 0.035),
        g.box("ceramic", (x - 0.197, 0.785, -0.197), (x + 0.197, 0.82, -0.008), 0.016),
        g.lathe("chrome", [(0.0, 0.006), (0.022, 0.005), (0.025, 0.0)], (x, 0.82, -0.1)),
    ]


def bathtub(x0: float, x1: float, width: float = 0.72) -> list[Part]:
    """A built-in tub along the wall: rim, sloped basin, panel, mixer."""
    rim, low = 0.56, 0.14  # m above the floor
    inner = (x0 + 0.07, x1 - 0.07, -width + 0.06, -0.06)
    floor = (x0 + 0.30, x1 - 0.16, -width + 0.15, -0.15)
    pieces = [g.box("ceramic", (x0, 0.0, -width), (x1, rim - 0.03, -width + 0.02), 0.004)]
    pieces.append(g.box("ceramic", (x1 - 0.02, 0.0, -width), (x1, rim - 0.03, 0.0), 0.004))
    pieces += [
        g.box("ceramic", (x0, rim - 0.03, -width - 0.012), (x1, rim, inner[2]), 0.012),
        g.box("ceramic", (x0, rim - 0.03, inner[3]), (x1, rim, 0), 0.012),
        g.box("ceramic", (x0, rim - 0.03, -width), (inner[0], rim, 0), 0.012),
        g.box("ceramic", (inner[1], rim - 0.03, -width), (x1, rim, 0), 0.012),
        g.quad(
            "ceramic", (floor[0], low, floor[2]), (floor[1] - floor[0], 0, 0), (0, 0, floor[3] - floor[2]), (0, 1, 0)
        ),
    ]
    top = [
        (inner[0], rim - 0.01, inner[2]),
        (inner[1], rim - 0.01, inner[2]),
        (inner[1], rim - 0.01, inner[3]),
        (inner[0], rim - 0.01, inner[3]),
    ]
    bottom = [
        (floor[0], low, floor[2]),
        (floor[1], low, floor[2]),
        (floor[1], low, floor[3]),
        (floor[0], low, floor[3]),
    ]
    centre = np.array([(floor[0] + floor[1]) / 2, 0.6, (floor[2] + floor[3]) / 2])
    for i in range(4):
        corners = np.array([top[i], top[(i + 1) % 4], bottom[(i + 1) % 4], bottom[i]])
        normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
        normal *= np.sign(normal @ (centre - corners.mean(0))) / np.linalg.norm(normal)
        pieces.append(g.part("ceramic", corners, np.tile(normal, (4, 1)), corners[:, :2], [(0, 1, 2), (0, 2, 3)]))
    x = x1 - 0.5
    pieces.append(g.tube("chrome", [(x - 0.08, rim + 0.18, -0.06), (x + 0.08, rim + 0.18, -0.06)], 0.022, 16))
    pieces += [
        g.tube("chrome", [(x + dx, rim + 0.18, -0.06), (x + dx, rim + 0.18, 0)], 0.013, 12) for dx in (-0.07, 0.07)
    ]
    pieces.append(g.tube("chrome", [(x, rim + 0.17, -0.07), (x, rim + 0.15, -0.14), (x, rim + 0.11, -0.17)], 0.013, 12))
    return pieces


def chair(x: float, z: float, turn: float) -> list[Part]:
    """A wooden chair with tapered legs, a shaped seat and a curved top rail; faces -z before turning (degrees)."""
    pieces = [g.box("chair", (-0.22, 0.435, -0.22), (0.22, 0.465, 0.22), 0.014)]
    for lx in (-0.18, 0.18):
        pieces.append(g.tube("chair", [(lx * 1.12, 0.0, -0.205), (lx, 0.44, -0.17)], [0.012, 0.018], 12))
        pieces.append(
            g.tube(
                "chair",
                [(lx * 1.1, 0.0, 0.23), (lx, 0.45, 0.18), (lx * 1.05, 0.66, 0.205), (lx * 1.12, 0.80, 0.25)],
                [0.012, 0.018, 0.015, 0.013],
                12,
            )
        )
    rail = [(0.225 * s, 0.77 + 0.015 * (1 - s * s), 0.245 + 0.035 * (1 - s * s)) for s in np.linspace(-1, 1, 13)]
    pieces += [g.tube("chair", [(px, py + dy, pz) for px, py, pz in rail], 0.018, 10) for dy in (0.0, 0.03)]
    pieces += [
        g.tube("chair", [(lx, 0.455, 0.19), (lx * 1.1, 0.78, 0.265)], 0.008, 8) for lx in (-0.11, -0.037, 0.037, 0.11)
    ]
    pieces.append(g.tube("chair", [(-0.185, 0.2, 0.2), (0.185, 0.2, 0.2)], 0.009, 8))
    return g.moved(pieces, g.turned(turn), (x, 0, z))


def table(x: float, z: float, length: float = 1.8, width: float = 0.9) -> list[Part]:
    """A dining table along x with tapered legs and a fruit bowl."""
    pieces = [g.box("table", (-length / 2, 0.715, -width / 2), (length / 2, 0.748, width / 2), 0.006)]
    pieces.append(
        g.box("table", (-length / 2 + 0.12, 0.64, -width / 2 + 0.1), (length / 2 - 0.12, 0.716, width / 2 - 0.1), 0.003)
    )
    for lx in (-1, 1):
        for lz in (-1, 1):
            top = (lx * (length / 2 - 0.13), 0.70, lz * (width / 2 - 0.11))
            foot = (lx * (length / 2 - 0.08), 0.0, lz * (width / 2 - 0.07))
            pieces.append(g.tube("table", [foot, top], [0.017, 0.032], 16))
    bowl = [
        (0.0, 0.004),
        (0.06, 0.0),
        (0.11, 0.03),
        (0.155, 0.085),
        (0.160, 0.088),
        (0.15, 0.08),
        (0.10, 0.028),
        (0.0, 0.012),
    ]
    pieces.append(g.lathe("bowl", bowl, (0.05, 0.748, 0.02)))
    for i, (fx, fz) in enumerate(((0.0, 0.0), (0.075, 0.03), (-0.02, 0.07), (0.05, -0.045), (0.045, 0.035))):
        ball = [(0.038 * np.cos(a), 0.036 * np.sin(a)) for a in np.linspace(-np.pi / 2, np.pi / 2, 15)]
        height = 0.80 + (0.045 if i == 4 else 0.0)
        pieces.append(g.lathe("lemon" if i % 2 else "apple", ball, (0.03 + fx, height, fz), sides=24))
    return g.moved(pieces, offset=(x, 0, z))
