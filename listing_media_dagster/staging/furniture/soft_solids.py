"""Stuffed and padded solids: boxes with crowned faces, pillows, rolls, round pads; piping, fringes and slim frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, part
from listing_media_dagster.staging.furniture.shells import Points, Shell, creases, grid_faces, lumps, unit

Vector = Sequence[float]


def _axis(half: float, radius: float, spacing: float) -> tuple[Points, Points]:
    """Stations along one axis of a rounded box: where on the sharp box, and how far along the rounded skin."""
    flat = half - radius
    arcs = int(np.clip(np.ceil(radius * np.pi / 4 / min(spacing, 0.012)), 2, 6))
    angles = np.linspace(0, np.pi / 4, arcs + 1)[1:]
    middle = np.linspace(-flat, flat, max(1, int(np.ceil(2 * flat / spacing))) + 1)
    bend, skin = flat + radius * np.tan(angles), flat + radius * angles
    return np.concatenate([-bend[::-1], middle, bend]), np.concatenate([-skin[::-1], middle, skin])


def rounded_box(size: Vector, radius: float, spacing: float = 0.05) -> Shell:
    """A box `size` m centred at the origin, edges rounded by `radius` m, in cells of about `spacing` m."""
    half = np.asarray(size, np.float64) / 2
    bend = min(radius, float(half.min()) * 0.98)
    stations = [_axis(float(h), bend, spacing) for h in half]
    counts = [len(place) for place, _ in stations]
    points, uv, faces, weld = [], [], [], []
    start = 0
    for axis, (first, second) in ((0, (2, 1)), (1, (0, 2)), (2, (0, 1))):
        handed = 1 if axis == 2 else -1
        for sign in (-1, 1):
            i, j = np.meshgrid(np.arange(counts[first]), np.arange(counts[second]), indexing="ij")
            index = np.zeros((i.size, 3), np.int64)
            index[:, first], index[:, second] = i.ravel(), j.ravel()
            index[:, axis] = counts[axis] - 1 if sign > 0 else 0
            points.append(np.stack([stations[a][0][index[:, a]] for a in range(3)], 1))
            uv.append(np.stack([stations[first][1][index[:, first]], stations[second][1][index[:, second]]], 1))
            weld.append((index[:, 0] * counts[1] + index[:, 1]) * counts[2] + index[:, 2])
            faces.append(grid_faces(*i.shape, turned_over=sign * handed < 0) + start)
            start += i.size
    sharp = np.concatenate(points)
    inner = np.clip(sharp, bend - half, half - bend)
    away = sharp - inner
    away *= bend / np.linalg.norm(away, axis=1, keepdims=True)
    _, welded = np.unique(np.concatenate(weld), return_inverse=True)
    return Shell(inner + away, np.concatenate(uv) + half[[0, 1]], np.concatenate(faces), welded.ravel())


def crowned(half: Points, rise: Vector) -> Callable[[Points], Points]:
    """Swell the faces of a box of `half` size outward by `rise` m along each axis, most at their middles."""

    def shape(points: Points) -> Points:
        share = np.clip(points / half, -1, 1)
        slack = 1 - share**2
        lift = [rise[a] * share[:, a] * slack[:, (a + 1) % 3] * slack[:, (a + 2) % 3] for a in range(3)]
        return points + np.stack(lift, 1)

    return shape


def padded(
    material: str,
    size: Vector,
    seed: int,
    radius: float = 0.03,
    rise: Vector = (0.0, 0.0, 0.0),
    slack: float = 0.0,
    piping: float = 0.0,
    spacing: float = 0.06,
    centre: Vector = (0.0, 0.0, 0.0),
) -> list[Part]:
    """An upholstered block `size` m round `centre`: crowned by `rise` m, lumps and folds of `slack` m, corded edges.

    `piping` is the radius of the cords along the four edges of top and bottom, 0 for none.
    """
    half = np.asarray(size, np.float64) / 2
    bend = min(radius, float(half.min()) * 0.98)
    crown = crowned(half, rise)
    shell = rounded_box(size, bend, spacing).shaped(crown)
    if slack:
        level = 0.5 * lumps(shell.points, seed, 0.28) + 0.25 * lumps(shell.points, seed + 1, 0.11)
        inside = np.clip(3 * (1 - (shell.points / half) ** 2), 0, 1)
        level -= 1.6 * creases(shell.points[:, [0, 2]], seed + 2, 8, 0.12, 0.022) * inside[:, 0] * inside[:, 2]
        shell = shell.swollen(slack * level)
    parts = [shell.part(material)]
    if piping:
        for side in (-1, 1):
            loop = outline(half[0] - bend * 0.29, half[2] - bend * 0.29, bend * 1.1)
            path = crown(np.insert(loop, 1, side * (half[1] - bend * 0.29), axis=1))
            parts.append(cord(material, path, piping))
    return [replace(piece, vertices=piece.vertices + np.asarray(centre, np.float32)) for piece in parts]


def outline(half_width: float, half_depth: float, radius: float, spacing: float = 0.03) -> Points:
    """A closed rounded rectangle (N, 2) m, counter-clockwise in (first, second)."""
    bend = min(radius, half_width * 0.99, half_depth * 0.99)
    corner = np.linspace(0, np.pi / 2, 6)
    points: list[Points] = []
    for quarter, (sx, sz) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        angles = corner + quarter * np.pi / 2
        arc = np.stack([np.cos(angles), np.sin(angles)], 1) * bend
        points.append(arc + np.array([sx * (half_width - bend), sz * (half_depth - bend)]))
    ring = np.concatenate(points)
    gaps = np.linalg.norm(np.roll(ring, -1, 0) - ring, axis=1)
    dense = [
        np.linspace(ring[i], ring[(i + 1) % len(ring)], max(1, int(gap / spacing)), endpoint=False)
        for i, gap in enumerate(gaps)
    ]
    return np.concatenate(dense)


def cord(material: str, path: Points, radius: float, sides: int = 5) -> Part:
    """A closed round cord along the loop `path` (N, 3) m, which is nearly flat."""
    ahead, behind = np.roll(path, -1, 0), np.roll(path, 1, 0)
    axis = np.cross(path - path.mean(0), ahead - path.mean(0)).sum(0)
    side = unit(np.cross(ahead - behind, axis))
    other = unit(np.cross(side, ahead - behind))
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(angles)[None, :, None] * side[:, None] + np.sin(angles)[None, :, None] * other[:, None]
    run = np.append(0, np.cumsum(np.linalg.norm(ahead - path, axis=1)))
    uv = np.stack(np.broadcast_arrays(run[:, None], (angles * radius)[None]), -1)
    points = path[:, None] + radius * ring
    # the loop ends on a copy of its first ring, so that its texture coordinates don't run back
    points, normals = (np.concatenate([rings, rings[:1]]) for rings in (points, ring))
    return part(material, points, normals, uv, grid_faces(len(points), sides, closed=True))


def bar(
    material: str,
    start: Vector,
    end: Vector,
    section: tuple[float, float],
    end_section: tuple[float, float] | None = None,
    radius: float = 0.006,
    up: Vector = (0, 1, 0),
) -> Part:
    """A straight bar from `start` to `end`, its grain along it: `section` m across and toward `up`, may taper."""
    origin, tip = np.asarray(start, np.float64), np.asarray(end, np.float64)
    length = float(np.linalg.norm(tip - origin))
    along = (tip - origin) / length
    high = np.asarray(up, np.float64) if abs(along @ np.asarray(up, np.float64)) < 0.95 else np.array([0.0, 0.0, 1.0])
    across = np.cross(along, high)
    across /= np.linalg.norm(across)
    frame = np.stack([along, np.cross(across, along), across])
    taper = np.asarray(end_section or section) / np.asarray(section)

    def shape(points: Points) -> Points:
        share = points[:, 0] / length + 0.5
        scale = 1 + share[:, None] * (taper - 1)
        placed = np.concatenate([points[:, :1], points[:, 1:2] * scale[:, 1:], points[:, 2:] * scale[:, :1]], 1)
        placed_in_room: Points = placed @ frame + (origin + tip) / 2
        return placed_in_room

    shell = rounded_box((length, section[1], section[0]), radius, 0.2)
    # end grain aside, every face of a bar shows its grain lengthwise
    return shell.shaped(shape).part(material)


def pillow(
    material: str,
    size: Vector,
    seed: int,
    pinch: float = 0.07,
    piping: float = 0.0,
    dent: float = 0.0,
    blunt: float = 0.035,
    cells: int = 24,
) -> list[Part]:
    """A knife-edged cushion in the x-y plane round the origin: corners pulled out, sides drawn in, folds at its seam.

    `size` is width, height, thickness m; `pinch` the share by which the sides' middles are drawn in, `dent` the depth
    m of the chop in its upper edge.
    """
    width, height, thick = size
    stations = np.sin(np.linspace(-np.pi / 2, np.pi / 2, cells + 1))
    u, v = (grid.ravel() for grid in np.meshgrid(stations, stations, indexing="ij"))
    edge = np.clip((1 - u**2) * (1 - v**2), 0, None)
    x = width / 2 * u * (1 - pinch * (1 - v**2) * np.abs(u) ** 3 - blunt * v**8)
    y = height / 2 * v * (1 - pinch * (1 - u**2) * np.abs(v) ** 3 - blunt * u**8)
    y = y - dent * np.exp(-((u / 0.35) ** 2)) * np.clip((v + 0.6) / 1.6, 0, 1) ** 2
    flat = np.stack([x, y], 1)
    faces, uv, points = [], [], []
    for number, side in enumerate((1, -1)):
        puff = edge**0.45 * (1 + 0.05 * lumps(flat, seed + number, min(width, height) * 0.45))
        corner = np.stack([width / 2 - np.abs(x), height / 2 - np.abs(y)], 1)
        away = np.linalg.norm(corner, axis=1)
        radial = np.arctan2(corner[:, 1], corner[:, 0] + 1e-9)
        quarter = 2 * (u > 0) + (v > 0)
        phase = np.random.default_rng(seed + 7 + number).uniform(0, 6, 4)[quarter]
        pleats = np.cos(9 * radial + phase) * np.exp(-((away / (0.34 * min(width, height))) ** 2))
        gathers = np.cos(2 * np.pi * (x + 0.6 * y) / 0.075 + 5 * lumps(flat, seed + 3, 0.3)) * np.exp(-edge / 0.10)
        depth = thick / 2 * puff + np.clip(edge * 6, 0, 1) * (0.035 * pleats + 0.012 * gathers) * thick
        points.append(np.stack([x, y, side * np.where(edge > 0, depth, 0)], 1))
        uv.append(flat + np.array([width / 2, height / 2]))
        faces.append(grid_faces(cells + 1, cells + 1, turned_over=side < 0) + number * len(flat))
    rim = edge <= 1e-12
    weld = np.arange(2 * len(flat))
    weld[len(flat) :][rim] = np.flatnonzero(rim)
    _, weld = np.unique(weld, return_inverse=True)
    parts = [Shell(np.concatenate(points), np.concatenate(uv), np.concatenate(faces), weld.ravel()).part(material)]
    if piping:
        grid = points[0].reshape(cells + 1, cells + 1, 3)
        loop = np.concatenate([grid[:-1, 0], grid[-1, :-1], grid[:0:-1, -1], grid[0, :0:-1]])
        parts.append(cord(material, loop, piping))
    return parts


def bolster(
    material: str,
    path: Points,
    half_width: float | Points,
    half_height: float | Points,
    square: float = 3.0,
    dome: float = 0.06,
    sides: int = 28,
) -> Shell:
    """A stuffed roll along the path (N, 3) m, upright in section, with ends domed over `dome` m beyond the path.

    `square` is the section's exponent: 2 an ellipse, more is boxier. Half width and height are m, one or one a point.
    """
    angles = np.linspace(0, np.pi / 2, 6)[1:]
    level = np.array([1.0, 0.0, 1.0])
    first, last = unit((path[:1] - path[1:2]) * level), unit((path[-1:] - path[-2:-1]) * level)
    reach, swell = dome * np.sin(angles)[:, None], np.cos(angles) ** (2 / square)
    spine = np.concatenate([path[:1] + first * reach[::-1], path, path[-1:] + last * reach])
    ends = np.concatenate([swell[::-1], np.ones(len(path)), swell])
    ends[[0, -1]] = 0
    width, height = (
        np.pad(np.broadcast_to(half, len(path)).astype(np.float64), len(angles), mode="edge") * ends
        for half in (half_width, half_height)
    )
    side = unit(np.cross(np.gradient(spine, axis=0), [0.0, 1.0, 0.0]))
    turn = np.linspace(0, 2 * np.pi, sides + 1)
    across, rise = (np.sign(f) * np.abs(f) ** (2 / square) for f in (np.cos(turn), np.sin(turn)))
    points = spine[:, None] + (width[:, None] * across)[..., None] * side[:, None]
    points = points + (height[:, None] * rise)[..., None] * [0.0, 1.0, 0.0]
    run = np.append(0, np.cumsum(np.linalg.norm(np.diff(spine, axis=0), axis=1)))
    girth = np.append(0, np.cumsum(np.linalg.norm(np.diff(points[len(spine) // 2], axis=0), axis=1)))
    along = np.stack(np.broadcast_arrays(girth[None], run[:, None]), -1)
    flat = np.stack([width[:, None] * across, height[:, None] * rise], -1)
    # texture runs along the roll but lies flat on its ends: the rings where it changes come twice
    cap, count = len(angles), len(spine)
    rows = np.r_[: cap + 1, cap : count - cap, count - cap - 1 : count]
    on_end = np.r_[np.ones(cap + 1, bool), np.zeros(len(path), bool), np.ones(cap + 1, bool)]
    uv = np.where(on_end[:, None, None], flat[rows], along[rows])
    number = np.arange(count * sides).reshape(count, sides)
    number[0], number[-1] = number[0, 0], number[-1, 0]
    _, welded = np.unique(np.concatenate([number, number[:, :1]], 1)[rows], return_inverse=True)
    faces = grid_faces(len(rows), sides + 1)
    return Shell(points[rows].reshape(-1, 3), uv.reshape(-1, 2), faces, welded.ravel())


def round_pad(radius: tuple[float, float], height: float, edge: float, rise: float, sides: int = 72) -> Shell:
    """An oval pad on y = 0: `radius` m along x and z, rim rounded by `edge` m, top crowned by `rise` m."""
    bend = min(edge, height / 2 * 0.98)
    arc = np.linspace(0, np.pi / 2, 7)
    rim = 1 - bend / min(radius) * (1 - np.sin(arc))
    flat = np.sqrt(np.linspace(0, 1, 10))[:-1] * rim[0]
    half = np.concatenate([flat, rim])
    outward = np.concatenate([half, half[::-1]])
    low = np.concatenate([np.zeros(len(flat)), bend * (1 - np.cos(arc))])
    level = np.concatenate([low, height - low[::-1] + rise * np.clip(1 - half[::-1] ** 2, 0, 1)])
    # texture lies flat on top and underneath and runs round the wall: the rows where it changes come twice
    split = len(flat) + 3
    rows = np.insert(np.arange(len(level)), [split, len(level) - split], [split, len(level) - split - 1])
    wall = np.zeros(len(rows), bool)
    wall[split + 1 : len(rows) - split - 1] = True
    turn = np.linspace(0, 2 * np.pi, sides + 1)
    x, z = (outward[rows, None] * wave * r for wave, r in ((np.cos(turn), radius[0]), (np.sin(turn), radius[1])))
    points = np.stack([x, np.broadcast_to(level[rows, None], x.shape), z], -1)
    number = np.arange(len(level) * sides).reshape(len(level), sides)
    number[0], number[-1] = number[0, 0], number[-1, 0]
    _, welded = np.unique(np.concatenate([number, number[:, :1]], 1)[rows], return_inverse=True)
    around = np.stack([np.broadcast_to(turn * max(radius), x.shape), points[..., 1]], -1)
    uv = np.where(wall[:, None, None], around, points[..., [0, 2]])
    faces = grid_faces(len(rows), sides + 1)
    return Shell(points.reshape(-1, 3), uv.reshape(-1, 2), faces, welded.ravel())


def yarns(material: str, spines: Points, radius: float) -> Part:
    """Loose yarns `radius` m thick along the spines (N, K, 3) m: fringes."""
    ahead = unit(np.gradient(spines, axis=1))
    side = unit(np.cross(ahead, [0.3, 0.2, 1.0]))
    other = np.cross(side, ahead)
    ring = np.stack([side, other, -side, -other], 2)
    count, knots = spines.shape[:2]
    last = 4 * knots - 4
    one = np.concatenate([grid_faces(knots, 4, closed=True), [[last, last + 1, last + 2], [last, last + 2, last + 3]]])
    faces = one[None] + (4 * knots * np.arange(count))[:, None, None]
    points = spines[:, :, None] + radius * ring
    uv = 0.02 + 0.05 * np.stack([points[..., 0], points[..., 2] + points[..., 1]], -1)
    return part(material, points, ring, uv, faces)


def leaning(degrees: float) -> Points:
    """Rotation about the x axis that tips a standing thing's top toward -z."""
    angle = np.radians(-degrees)
    return np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]], dtype=np.float64
    )
