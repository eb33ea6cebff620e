"""What walls carry: windows, doors, skirting, sockets, radiators, curtains, lamps, cabinets.

Everything is built in a wall's own frame, metres: x along the wall, y up, z out of the room (so fittings stand at
z < 0), and turned onto its wall by `on_wall`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from listing_media_dagster.path_tracer import solids as g
from listing_media_dagster.path_tracer.solids import Part

Opening = tuple[float, float, float, float]
REVEAL = 0.17  # m from the inner wall face to the outside


def on_wall(pieces: Iterable[Part], side: str, width: float, depth: float) -> list[Part]:
    """Turn pieces from a wall's frame into the room's: x 0..width, z 0..depth, x or z runs along the wall."""
    matrix, offset = {
        "north": (((1, 0, 0), (0, 1, 0), (0, 0, -1)), (0, 0, 0)),
        "south": (((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0, 0, depth)),
        "west": (((0, 0, -1), (0, 1, 0), (1, 0, 0)), (0, 0, 0)),
        "east": (((0, 0, 1), (0, 1, 0), (1, 0, 0)), (width, 0, 0)),
    }[side]
    return g.moved(pieces, matrix, offset)


def reveal(opening: Opening, material: str = "wall", depth: float = REVEAL) -> list[Part]:
    """The four inner faces of a hole in the wall."""
    x0, y0, x1, y1 = opening
    return [
        g.quad(material, (x0, y0, 0), (0, y1 - y0, 0), (0, 0, depth), (1, 0, 0)),
        g.quad(material, (x1, y0, 0), (0, y1 - y0, 0), (0, 0, depth), (-1, 0, 0)),
        g.quad(material, (x0, y1, 0), (x1 - x0, 0, 0), (0, 0, depth), (0, -1, 0)),
        g.quad(material, (x0, y0, 0), (x1 - x0, 0, 0), (0, 0, depth), (0, 1, 0)),
    ]


def window(opening: Opening, sashes: int = 2, bars: int = 0, casing: float = 0.0) -> list[Part]:
    """Frame, `sashes` side by side with `bars` glazing bars each, sill board, handles and a `casing` m wide."""
    x0, y0, x1, y1 = opening
    z0, z1 = 0.085, 0.145
    pieces = reveal(opening) + g.frame("trim", (x0, y0, z0), (x1, y1, z1), 0.045, 0.004)
    step = (x1 - x0 - 0.09) / sashes
    for i in range(sashes):
        a, b = x0 + 0.045 + i * step, x0 + 0.045 + (i + 1) * step
        pieces += g.frame("trim", (a + 0.003, y0 + 0.048, z0 - 0.012), (b - 0.003, y1 - 0.048, z1 - 0.01), 0.055, 0.006)
        for k in range(bars):
            y = y0 + 0.1 + (y1 - y0 - 0.2) * (k + 1) / (bars + 1)
            pieces.append(g.box("trim", (a + 0.05, y - 0.011, z0 + 0.005), (b - 0.05, y + 0.011, z1 - 0.02), 0.004))
        hand = b - 0.033 if i % 2 == 0 else a + 0.033
        middle = (y0 + y1) / 2 - 0.1
        pieces.append(
            g.box("steel", (hand - 0.013, middle - 0.03, z0 - 0.022), (hand + 0.013, middle + 0.03, z0 - 0.01), 0.003)
        )
        pieces.append(
            g.tube(
                "steel",
                [
                    (hand, middle, z0 - 0.02),
                    (hand, middle, z0 - 0.05),
                    (hand, middle - 0.02, z0 - 0.055),
                    (hand, middle - 0.12, z0 - 0.055),
                ],
                0.009,
                10,
            )
        )
    pieces.append(g.box("trim", (x0 - 0.05, y0 - 0.032, -0.055), (x1 + 0.05, y0 + 0.001, z0), 0.006))
    if casing:
        pieces += [
            g.box("trim", (x0 - casing, y0 - 0.03, -0.02), (x0, y1, 0.01), 0.004),
            g.box("trim", (x1, y0 - 0.03, -0.02), (x1 + casing, y1, 0.01), 0.004),
            g.box("trim", (x0 - casing - 0.015, y1, -0.026), (x1 + casing + 0.015, y1 + casing * 1.15, 0.01), 0.004),
            g.box("trim", (x0 - casing, y0 - 0.032 - casing * 0.9, -0.018), (x1 + casing, y0 - 0.032, 0.01), 0.004),
        ]
    return pieces


def portal(opening: Opening, sky_share: float = 0.6, strips: int = 12) -> list[Part]:
    """Glass that stands for the daylight outside: strips that shine like sky (in and down) or ground (in and up).

    Their normals are tilted on purpose: an area light follows them, so the floor sees the sky and the ceiling the lawn.
    """
    x0, y0, x1, y1 = opening
    step = (y1 - y0) / strips
    down, up = (0.0, -np.sin(0.7), -np.cos(0.7)), (0.0, np.sin(0.7), -np.cos(0.7))
    pieces = []
    for i in range(strips):
        y, cut = y0 + i * step, y0 + (i + sky_share) * step
        pieces.append(g.quad("portal sky", (x0, y, 0.125), (x1 - x0, 0, 0), (0, cut - y, 0), down))
        pieces.append(g.quad("portal ground", (x0, cut, 0.125), (x1 - x0, 0, 0), (0, y + step - cut, 0), up))
    return pieces


def door(
    opening: Opening,
    panels: Sequence[tuple[float, float]] = ((0.09, 0.42), (0.48, 0.95)),
    handle_left: bool = False,
    material: str = "trim",
) -> list[Part]:
    """A closed panelled door with casing and lever; `panels` are (from, to) shares of its height, two abreast."""
    x0, y0, x1, y1 = opening
    width, height = x1 - x0, y1 - y0
    z = 0.045
    pieces = [*reveal(opening, material, 0.1)]
    pieces.append(g.box(material, (x0 + 0.003, y0 + 0.006, z + 0.012), (x1 - 0.003, y1 - 0.003, z + 0.04)))
    stile = 0.105
    xs = [x0 + 0.003, x0 + width / 2 - stile / 2, x1 - 0.003 - stile]
    pieces += [g.box(material, (x, y0 + 0.006, z), (x + stile, y1 - 0.003, z + 0.03), 0.003) for x in xs]
    rails = [0.0, *(edge for pair in panels for edge in pair), 1.0]
    for low, high in zip(rails[::2], rails[1::2], strict=True):
        pieces.append(
            g.box(
                material,
                (x0 + 0.01, y0 + 0.008 + low * height, z + 0.0005),
                (x1 - 0.01, y0 + high * height - 0.004, z + 0.03),
                0.003,
            )
        )
    for low, high in panels:
        for left, right in ((xs[0], xs[1]), (xs[1], xs[2])):
            pieces.append(
                g.box(
                    material,
                    (left + stile + 0.03, y0 + low * height + 0.03, z + 0.003),
                    (right - 0.03, y0 + high * height - 0.03, z + 0.03),
                    0.012,
                )
            )
    cx = x0 + 0.06 if handle_left else x1 - 0.06
    way = 1 if handle_left else -1
    pieces.append(g.box("steel", (cx - 0.022, y0 + 0.90, z - 0.008), (cx + 0.022, y0 + 1.12, z), 0.003))
    pieces.append(
        g.tube(
            "steel",
            [
                (cx, y0 + 1.05, z),
                (cx, y0 + 1.05, z - 0.04),
                (cx + way * 0.012, y0 + 1.05, z - 0.05),
                (cx + way * 0.12, y0 + 1.05, z - 0.05),
            ],
            0.0095,
            14,
        )
    )
    pieces.append(g.tube("black", [(cx, y0 + 0.945, z - 0.0085), (cx, y0 + 0.945, z - 0.007)], 0.008, 12))
    return pieces + casing(opening)


def casing(opening: Opening, width: float = 0.075, sides: str = "lrt") -> list[Part]:
    """Door trim, two steps deep."""
    x0, y0, x1, y1 = opening
    pieces = []
    for inset, out in ((0.0, 0.014), (width * 0.62, 0.022)):
        w = width - inset
        if "l" in sides:
            pieces.append(g.box("trim", (x0 - width, y0, -out), (x0 - width + w, y1 + width, 0.004), 0.003))
        if "r" in sides:
            pieces.append(g.box("trim", (x1 + width - w, y0, -out), (x1 + width, y1 + width, 0.004), 0.003))
        if "t" in sides:
            pieces.append(g.box("trim", (x0 - width, y1 + width - w, -out), (x1 + width, y1 + width, 0.004), 0.003))
    return pieces


def skirting(length: float, gaps: Sequence[tuple[float, float]] = (), height: float = 0.105) -> list[Part]:
    """Baseboard with a stepped top along a wall, left out at `gaps`."""
    pieces = []
    at = 0.0
    for start, stop in [*sorted(gaps), (length, length)]:
        if start > at + 0.01:
            pieces.append(g.box("trim", (at, 0.002, -0.016), (start, height, 0.0), 0.003))
            pieces.append(g.box("trim", (at, height - 0.002, -0.010), (start, height + 0.018, 0.0), 0.004))
        at = stop
    return pieces


def cornice(length: float, height: float, size: float = 0.07) -> list[Part]:
    """Cove moulding under the ceiling."""
    angles = np.linspace(0, np.pi / 2, 7)
    outline = [(0.0, -size - 0.012), (0.008, -size - 0.012), (0.008, -size)]
    outline += [(0.008 + size * 0.9 * (1 - np.cos(a)), -size * (1 - np.sin(a))) for a in angles]
    outline += [(0.02 + size * 0.9, 0.0)]
    pieces = []
    for (d0, h0), (d1, h1) in pairwise(outline):
        normal = (0.0, -(d1 - d0), -(h1 - h0)) if (d1 - d0, h1 - h0) != (0.0, 0.0) else (0.0, -1.0, 0.0)
        pieces.append(g.quad("ceiling", (0, height + h0, -d0), (length, 0, 0), (0, h1 - h0, -(d1 - d0)), normal))
    return pieces


def socket(x: float, y: float, gangs: int = 1) -> list[Part]:
    pieces = [g.box("plastic", (x - 0.04 * gangs, y - 0.04, -0.009), (x + 0.04 * gangs, y + 0.04, 0), 0.004)]
    for i in range(gangs):
        cx = x - 0.04 * gangs + 0.04 + 0.08 * i
        pieces.append(g.tube("plastic shade", [(cx, y, -0.0095), (cx, y, -0.008)], 0.021, 24))
        pieces += [
            g.tube("black", [(cx + dx, y, -0.0105), (cx + dx, y, -0.008)], 0.0028, 8) for dx in (-0.0095, 0.0095)
        ]
    return pieces


def switch(x: float, y: float = 1.05) -> list[Part]:
    return [
        g.box("plastic", (x - 0.041, y - 0.041, -0.008), (x + 0.041, y + 0.041, 0), 0.004),
        g.box("plastic", (x - 0.028, y - 0.028, -0.0125), (x + 0.028, y + 0.028, -0.006), 0.003),
    ]


def radiator(x0: float, x1: float, y0: float = 0.13, y1: float = 0.62) -> list[Part]:
    """Panel radiator with ribs, a top grille, brackets, valve and pipes."""
    pieces = [g.box("enamel", (x0, y0, -0.105), (x1, y1, -0.045), 0.006)]
    count = round((x1 - x0) / 0.034)
    step = (x1 - x0 - 0.03) / count
    pieces += [
        g.box(
            "enamel",
            (x0 + 0.015 + (i + 0.2) * step, y0 + 0.025, -0.114),
            (x0 + 0.015 + (i + 0.8) * step, y1 - 0.03, -0.1),
            0.005,
        )
        for i in range(count)
    ]
    pieces += [
        g.box("shadow", (x0 + 0.03 + i * 0.025, y1 - 0.001, -0.09), (x0 + 0.042 + i * 0.025, y1 + 0.0008, -0.06))
        for i in range(int((x1 - x0 - 0.06) / 0.025))
    ]
    pieces.append(
        g.tube(
            "enamel",
            [
                (x0 - 0.05, 0.0, -0.075),
                (x0 - 0.05, y0 + 0.03, -0.075),
                (x0 - 0.03, y0 + 0.05, -0.075),
                (x0, y0 + 0.05, -0.075),
            ],
            0.0085,
            12,
        )
    )
    pieces.append(
        g.tube(
            "enamel",
            [
                (x1 + 0.05, 0.0, -0.075),
                (x1 + 0.05, y1 - 0.07, -0.075),
                (x1 + 0.03, y1 - 0.05, -0.075),
                (x1, y1 - 0.05, -0.075),
            ],
            0.0085,
            12,
        )
    )
    pieces.append(g.tube("plastic", [(x1 + 0.05, y1 - 0.05, -0.08), (x1 + 0.05, y1 - 0.05, -0.15)], [0.021, 0.017], 18))
    return pieces


def curtains(opening: Opening, y_rod: float, width: float, seed: int, material: str = "linen") -> list[Part]:
    """A rod with finials, and a drawn-back curtain on either side of the window."""
    x0, _, x1, _ = opening
    left, right = x0 - width - 0.05, x1 + width + 0.05
    z = -0.10
    pieces = [g.tube("black", [(left - 0.08, y_rod, z), (right + 0.08, y_rod, z)], 0.012, 16)]
    for x in (left - 0.08, right + 0.08):
        pieces.append(
            g.lathe(
                "black", [(0.0, -0.024), (0.017, -0.017), (0.024, 0.0), (0.017, 0.017), (0.0, 0.024)], (x, y_rod, z)
            )
        )
        side = 0.12 if x < x0 else -0.12
        pieces.append(g.tube("black", [(x + side, y_rod, z), (x + side, y_rod, 0)], 0.007, 10))
    pieces.append(g.curtain(material, left, left + width, 0.012, y_rod - 0.005, z, 6, 0.038, seed))
    pieces.append(g.curtain(material, right - width, right, 0.012, y_rod - 0.005, z, 6, 0.038, seed + 1))
    return pieces


def pendant(x: float, z: float, ceiling: float, drop: float = 0.55, radius: float = 0.17) -> list[Part]:
    """Ceiling rose, cord and an opal globe (material "lamp", the light)."""
    y = ceiling - drop
    angles = np.linspace(-np.pi / 2, np.pi / 2, 25)
    globe = [(radius * np.cos(a), radius * np.sin(a)) for a in angles]
    return [
        g.lathe("steel", [(0.0, -0.03), (0.05, -0.026), (0.055, 0.0)], (x, ceiling, z)),
        g.tube("black", [(x, ceiling - 0.02, z), (x, y + radius, z)], 0.0035, 8),
        g.lathe("steel", [(0.0, 0.03), (0.028, 0.03), (0.034, -0.012)], (x, y + radius, z)),
        g.lathe("lamp", globe, (x, y, z)),
    ]


def flush_lamp(x: float, z: float, ceiling: float, radius: float = 0.2) -> list[Part]:
    """A flat opal bowl on the ceiling with a metal rim."""
    bowl = [(radius * np.sin(a), -0.045 - 0.055 * np.cos(a)) for a in np.linspace(0, np.pi / 2, 16)]
    return [
        g.lathe("steel", [(radius + 0.004, -0.046), (radius + 0.012, -0.04), (radius + 0.012, 0.0)], (x, ceiling, z)),
        g.lathe("lamp", bowl, (x, ceiling, z)),
    ]


def downlight(x: float, z: float, ceiling: float) -> list[Part]:
    """A recessed spot: rim flush with the ceiling and a small bright disc."""
    return [
        g.lathe("steel", [(0.034, -0.002), (0.040, -0.006), (0.046, -0.004), (0.048, 0.0)], (x, ceiling, z)),
        g.lathe("lamp", [(0.0, -0.003), (0.034, -0.003)], (x, ceiling, z)),
    ]


def shaker_front(x0: float, y0: float, x1: float, y1: float, z: float, material: str, handle: str = "") -> list[Part]:
    """A cabinet door or drawer front at z, facing -z: frame, recessed panel, bar handle (`left`, `right` or `top`)."""
    gap = 0.002
    low, high = (x0 + gap, y0 + gap, z - 0.024), (x1 - gap, y1 - gap, z - 0.002)
    rail = min(0.06, (y1 - y0) * 0.28)
    pieces = g.frame(material, low, high, rail, 0.003)
    pieces.append(g.box(material, (x0 + rail, y0 + rail, z - 0.010), (x1 - rail, y1 - rail, z - 0.002)))
    bar = z - 0.05
    if handle in ("left", "right"):
        x = x0 + 0.035 if handle == "left" else x1 - 0.035
        top = y1 - 0.06 if y0 < 1.0 else y0 + 0.22
        pieces.append(g.tube("handle", [(x, top, bar), (x, top - 0.16, bar)], 0.006, 12))
        pieces += [g.tube("handle", [(x, y, bar), (x, y, z - 0.015)], 0.005, 10) for y in (top - 0.02, top - 0.14)]
    elif handle == "top":
        middle, y = (x0 + x1) / 2, (y1 - 0.035 if y1 - y0 > 0.25 else (y0 + y1) / 2)
        pieces.append(g.tube("handle", [(middle - 0.08, y, bar), (middle + 0.08, y, bar)], 0.006, 12))
        pieces += [
            g.tube("handle", [(x, y, bar), (x, y, z - 0.015)], 0.005, 10) for x in (middle - 0.06, middle + 0.06)
        ]
    return pieces
