"""Plants. Roles: `leaves`, `trunk`, `pot`, `soil`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.furniture.foliage import MARGINED, foliage, growing_along
from listing_media_dagster.staging.furniture.joinery import Points, curve, fitted, repeated, rod, turned_part

UP = np.array([0.0, 1.0, 0.0])


def plant_fiddle(size: Size, seed: int) -> list[Part]:
    """A fiddle-leaf fig: two or three slim trunks under large, wavy, upright leaves."""
    width, height, _ = size
    rng = np.random.default_rng(seed)
    pot_height, pot_radius = 0.26 * height**0.5, min(0.17, 0.24 * width)
    parts: list[Part] = []
    bases, ways, lengths = [], [], []
    for stem in range(3):
        turn = 2 * np.pi * stem / 3 + rng.uniform(-0.4, 0.4)
        lean = np.array([np.cos(turn), 0, np.sin(turn)])
        top = (1.0, 0.86, 0.74)[stem] * (height - 0.1)
        knots = [
            lean * r + (0, y, 0)
            for r, y in (
                (0.03, pot_height - 0.05),
                (0.05, pot_height + 0.3 * (top - pot_height)),
                (0.09, 0.75 * top),
                (0.10, top),
            )
        ]
        path = curve(knots, 24)
        parts.append(rod("trunk", path, np.linspace(0.013, 0.006, 24), 10))
        for share in np.linspace(0.42, 1.0, 17):
            turn += 2.4 + rng.normal(0, 0.25)
            at = path[min(23, int(share * 23))]
            rise = 0.35 + 0.9 * max(0.0, (share - 0.6) / 0.4) + rng.normal(0, 0.12)
            bases.append(at)
            ways.append((np.cos(turn) * np.cos(rise), np.sin(rise), np.sin(turn) * np.cos(rise)))
            lengths.append(rng.uniform(0.24, 0.36) * (1.0 if share < 0.93 else 0.75))
    outline = ((0, 0.05), (0.12, 0.2), (0.3, 0.24), (0.45, 0.27), (0.7, 0.36), (0.88, 0.27), (0.97, 0.1), (1, 0.01))
    parts += foliage(outline, np.array(bases), np.array(ways), np.array(lengths), seed, droop=0.35, wave=0.035)
    return [*potted(pot_radius, pot_height), *grown(parts, pot_height, size)]


def grown(crown: list[Part], pot_height: float, size: Size) -> list[Part]:
    """Stretch what grows out of a pot on the origin to fill `size`, each side by itself; the pot stays as it is."""
    everything = np.concatenate([piece.vertices for piece in crown])
    low, high = everything.min(0), everything.max(0)
    left, right = (size[0] / 2 / -low[0], size[2] / 2 / -low[2]), (size[0] / 2 / high[0], size[2] / 2 / high[2])
    rise = (size[1] - pot_height) / (high[1] - pot_height)
    parts = []
    for piece in crown:
        x, y, z = piece.vertices.T.astype(float)
        # Near the trunk both sides keep to the pot's scale, or trunks would be stretched into planks.
        x, z = (_spread(v, left[k], right[k]) for k, v in ((0, x), (1, z)))
        y = np.where(y > pot_height, pot_height + (y - pot_height) * rise, y)
        parts.append(replace(piece, vertices=np.stack([x, y, z], 1).astype(np.float32)))
    return parts


def _spread(v: Points, left: float, right: float) -> Points:
    scale = np.where(v < 0, left, right)
    reach = np.abs(v) * scale
    near = np.clip(reach / 0.2, 0, 1)
    return np.asarray(v * (scale * near + (1 - near)), np.float64)


def potted(radius: float, height: float) -> list[Part]:
    """A slightly tapered pot with a thick rim, full of soil."""
    foot, inner = 0.78 * radius, radius - 0.012
    profile = [
        (0, 0),
        (foot, 0),
        (radius, 0.75 * height),
        (radius, height),
        (inner, height),
        (inner - 0.01, 0.8 * height),
    ]
    ground = [(0, height - 0.045), (inner - 0.001, height - 0.04)]
    return [
        turned_part("pot", profile, fillet=0.008, sides=64),
        turned_part("soil", ground[::-1], fillet=0.0, sides=32),
    ]


def plant_olive(size: Size, seed: int) -> list[Part]:
    """An olive tree: a bare crooked trunk under a loose head of thin twigs and small leaves."""
    _, height, _ = size
    rng = np.random.default_rng(seed)
    pot_height, pot_radius = 0.24 * height**0.5, 0.115 * height**0.5
    parts: list[Part] = []
    fork = 0.5 * height
    bend = rng.uniform(-0.035, 0.035, (2, 2))
    trunk = curve([(0, pot_height - 0.06, 0), (bend[0, 0], 0.6 * fork, bend[0, 1]), (bend[1, 0], fork, bend[1, 1])], 16)
    parts.append(rod("trunk", trunk, np.linspace(0.019, 0.013, 16), 12))
    starts, frames = [], []
    for k in range(11):
        turn, rise = 2.4 * k + rng.uniform(-0.3, 0.3), rng.uniform(0.2, 1.15)
        branch = _twig(trunk[-1 - k % 4], turn, rise, 0.30 * height * rng.uniform(0.7, 1.0), rng)
        parts.append(rod("trunk", branch, np.linspace(0.008, 0.003, 12), 8, 0.001))
        starts += [branch[2 + j] for j in range(10)]
        turns, rises = turn + rng.normal(0, 1.3, 10), rng.uniform(-0.4, 1.2, 10)
        ways_ = np.stack([np.cos(turns) * np.cos(rises), np.sin(rises), np.sin(turns) * np.cos(rises)], -1)
        frames += list(
            growing_along(ways_, rng.uniform(-3, 3, 10)) * 0.13 * height * rng.uniform(0.8, 1.1, 10)[:, None, None]
        )
    sprig = curve([(0, 0, 0), (0, 0.06, 0.45), (0, 0.02, 1.0)], 6)
    twig = rod("trunk", sprig, np.linspace(0.012, 0.005, 6), 4, 0.002)
    parts.append(repeated(twig, np.array(frames), np.array(starts)))
    bases, ways = [], []
    for frame, start in zip(frames, starts, strict=True):
        points = start + np.linspace(0.15, 1, 17)[:, None] * frame[:, 2]
        sides = rng.normal((0, 0.35, 0), 1, (17, 3))
        bases += list(points)
        ways += list(sides / np.linalg.norm(sides, axis=1, keepdims=True) + frame[:, 2] / np.linalg.norm(frame[:, 2]))
    thin = ((0, 0.03), (0.33, 0.125), (0.67, 0.11), (1, 0.01))
    lengths = rng.uniform(0.05, 0.078, len(bases))
    parts += foliage(thin, np.array(bases), np.array(ways), lengths, seed, droop=0.2, rows=4, columns=3)
    return [*potted(pot_radius, pot_height), *grown(parts, pot_height, size)]


def plant_snake(size: Size, seed: int) -> list[Part]:
    """Snake plant: stiff upright blades with pale margins."""
    _, height, _ = size
    rng = np.random.default_rng(seed)
    pot_height = min(0.24, 0.3 * height)
    parts = potted(0.14, pot_height)
    bases, ways, lengths = [], [], []
    for k in range(17):
        turn, out = 2.4 * k, 0.075 * np.sqrt((k + 0.5) / 17)
        bases.append((out * np.cos(turn), pot_height - 0.05, out * np.sin(turn)))
        lean = 0.05 + 2.3 * out + rng.uniform(0, 0.06)
        ways.append((lean * np.cos(turn), 1.0, lean * np.sin(turn)))
        lengths.append((height - pot_height) * rng.uniform(0.6, 1.05) * (1.1 - 3.2 * out))
    blade = ((0, 0.035), (0.3, 0.05), (0.65, 0.056), (0.88, 0.03), (1, 0.002))
    parts += foliage(
        blade,
        np.array(bases),
        np.array(ways),
        np.array(lengths),
        seed,
        droop=0.12,
        wave=0.004,
        fold=0.9,
        cells=MARGINED,
    )
    return fitted(parts, size)


def plant_palm(size: Size, seed: int) -> list[Part]:
    """Kentia palm: arching fronds of long narrow leaflets."""
    _, height, _ = size
    rng = np.random.default_rng(seed)
    pot_height, pot_radius = 0.24 * height**0.5, 0.13 * height**0.5
    parts: list[Part] = []
    bases, ways, lengths = [], [], []
    for k in range(15):
        turn = 2.4 * k + rng.uniform(-0.2, 0.2)
        out = np.array([np.cos(turn), 0, np.sin(turn)])
        top, reach = height * rng.uniform(0.72, 1.0) * (1 - 0.02 * k), 0.16 * height + 0.02 * height * k
        knots = [
            out * 0.03 + (0, pot_height - 0.05, 0),
            out * 0.18 * reach + (0, 0.55 * top, 0),
            out * 0.55 * reach + (0, 0.93 * top, 0),
            out * 1.25 * reach + (0, 0.88 * top, 0),
        ]
        spine = curve(knots, 30)
        parts.append(rod("trunk", spine, np.linspace(0.0085, 0.002, 30), 8, 0.001))
        across = np.array([-out[2], 0, out[0]])
        for step in range(10, 30):
            share = (step - 10) / 19
            forward = spine[step] - spine[step - 1]
            forward /= np.linalg.norm(forward)
            for side in (-1, 1):
                bases.append(spine[step])
                ways.append(
                    side * across * (1.1 - 0.65 * share)
                    + forward * (0.55 + 0.7 * share)
                    + (0, 0.12 + rng.normal(0, 0.05), 0)
                )
                lengths.append(
                    0.27 * height**0.5 * (0.55 + 0.6 * np.sin(np.pi * (0.25 + 0.7 * share))) * rng.uniform(0.9, 1.1)
                )
    blade = ((0, 0.025), (0.2, 0.055), (0.6, 0.048), (0.9, 0.02), (1, 0.002))
    parts += foliage(
        blade, np.array(bases), np.array(ways), np.array(lengths), seed, droop=0.75, fold=0.4, rows=8, columns=3
    )
    return [*potted(pot_radius, pot_height), *grown(parts, pot_height, size)]


def plant_small(size: Size, seed: int) -> list[Part]:
    """A table plant: a dome of rounded leaves in a small pot."""
    rng = np.random.default_rng(seed)
    parts = potted(0.075, 0.12)
    bases, ways, lengths = [], [], []
    for k in range(58):
        share = (k + 0.5) / 58
        turn, rise = 2.4 * k, 1.5 - 1.7 * share**0.8
        way = np.array([np.cos(turn) * np.cos(rise), np.sin(rise), np.sin(turn) * np.cos(rise)])
        bases.append(np.array([0, 0.10, 0]) + way * rng.uniform(0.07, 0.13))
        ways.append(way * (1, 0.4, 1) + (0, 0.05, 0))
        lengths.append(rng.uniform(0.06, 0.09))
    crown = np.array([0, 0.075, 0])
    reaches = np.array(bases) - crown
    stalk = rod("trunk", [(0, 0, 0), (0, 0, 0.5), (0, 0, 1)], 0.014, 5, 0.004)
    frames = growing_along(reaches, np.zeros(58)) * np.linalg.norm(reaches, axis=1)[:, None, None]
    parts.append(repeated(stalk, frames, np.tile(crown, (58, 1))))
    round_ = ((0, 0.06), (0.12, 0.26), (0.4, 0.40), (0.75, 0.3), (0.93, 0.12), (1, 0.01))
    parts += foliage(round_, np.array(bases), np.array(ways), np.array(lengths), seed, droop=0.7, wave=0.01, fold=0.2)
    return fitted(parts, size)


def _twig(start: Points, turn: float, rise: float, length: float, rng: np.random.Generator) -> Points:
    """A path (12, 3) that leaves `start` under `rise` rad and straightens up a little."""
    way = np.array([np.cos(turn) * np.cos(rise), np.sin(rise), np.sin(turn) * np.cos(rise)])
    middle = start + 0.5 * length * way + rng.normal(0, 0.02 * length, 3)
    onward = way + 0.35 * UP
    return curve([start, middle, middle + 0.5 * length * onward / np.linalg.norm(onward)], 12)


ROLES = ("leaves", "trunk", "pot", "soil")
DESIGNS: tuple[Design, ...] = (
    Design("plant_fiddle", Kind.PLANT, (0.8, 1.7, 0.8), (0.5, 1.0, 0.5), (1.0, 2.2, 1.0), ROLES, plant_fiddle),
    Design("plant_olive", Kind.PLANT, (0.85, 1.7, 0.85), (0.5, 1.1, 0.5), (1.1, 2.1, 1.1), ROLES, plant_olive),
    Design(
        "plant_snake", Kind.PLANT, (0.4, 0.85, 0.4), (0.25, 0.5, 0.25), (0.55, 1.2, 0.55),
        ("leaves", "pot", "soil"), plant_snake,
    ),
    Design("plant_palm", Kind.PLANT, (1.2, 1.7, 1.2), (0.8, 1.2, 0.8), (1.5, 2.2, 1.5), ROLES, plant_palm),
    Design("plant_small", Kind.PLANT, (0.32, 0.3, 0.32), (0.2, 0.18, 0.2), (0.45, 0.42, 0.45), ROLES, plant_small),
)  # fmt: skip
