"""Upholstered sofas and the armchair of their family.

Roles: upholstery, legs, cushions (loose ones), accents (those before them), throw (hung over an arm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from listing_media_dagster.path_tracer.solids import Part, moved, turned
from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.shells import Points, Shell, fitted, grid_faces, lumps, unit
from listing_media_dagster.staging.furniture.soft_solids import (
    bar,
    bolster,
    cord,
    leaning,
    outline,
    padded,
    pillow,
    rounded_box,
)
from listing_media_dagster.staging.furniture.throws import Arm, over_arm

ROLES = ("upholstery", "legs", "cushions", "accents", "throw")


@dataclass(frozen=True)
class Cut:
    """The measures, in m, that tell one square-armed sofa from another."""

    arm: float = 0.13
    arm_top: float = 0.60
    leg: float = 0.13
    seat_top: float = 0.44
    frame_top: float = 0.27
    edge: float = 0.03
    crown: float = 0.035
    slack: float = 0.006
    plump: float = 0.25
    seat_width: float = 0.62
    recess: float = 0.03  # of the frame behind the arms' fronts


TRACK = Cut()
LOFT = Cut(arm=0.23, arm_top=0.58, leg=0.10, seat_top=0.43, edge=0.05, crown=0.028, slack=0.006, seat_width=0.8)
SLIPCOVER = Cut(
    arm=0.18,
    arm_top=0.62,
    leg=0.04,
    seat_top=0.46,
    frame_top=0.30,
    edge=0.07,
    crown=0.045,
    slack=0.007,
    plump=0.29,
    recess=0.0,
)


def track_sofa(size: Size, seed: int) -> list[Part]:
    """Slim square arms, loose seat and back cushions, tapered legs."""
    body = _square_body(size, _seats(size[0], TRACK), seed, TRACK)
    legs = tapered_legs(size[0], size[2], TRACK.leg)
    loose = [*scatter(size, TRACK.seat_top, 0.02, seed), *over_arm(_square_arm(size, TRACK), seed)]
    return fitted([*body, *legs, *loose], size)


def track_armchair(size: Size, seed: int) -> list[Part]:
    return fitted([*_square_body(size, 1, seed, TRACK), *tapered_legs(size[0], size[2], TRACK.leg)], size)


def loft_sofa(size: Size, seed: int) -> list[Part]:
    """Low and deep with thick arms, made for leather, on a black steel sled."""
    width, _, depth = size
    body = _square_body(size, _seats(width, LOFT), seed, LOFT)
    runners: list[Part] = []
    for side in (-1, 1):
        x, z = side * (width / 2 - 0.16), depth / 2 - 0.07
        iron = (0.035, 0.012)
        runners.append(bar("legs", (x, 0.006, -z), (x, 0.006, z), iron, radius=0.003))
        runners += [
            bar("legs", (x, 0, end), (x, LOFT.leg + 0.01, end), (0.035, 0.012), radius=0.003) for end in (-z, z)
        ]
    loose = scatter(size, LOFT.seat_top, 0.02, seed, inset=LOFT.arm - 0.13)
    return fitted([*body, *runners, *loose, *over_arm(_square_arm(size, LOFT), seed)], size)


def slipcover_sofa(size: Size, seed: int) -> list[Part]:
    """A loose washed cover: soft arms, plump cushions, a skirt with a pleat at each corner down to the floor."""
    width, _, depth = size
    body = _square_body(size, _seats(width, SLIPCOVER), seed, SLIPCOVER)
    hem = skirt("upholstery", (width + 0.024, depth + 0.006), 0.005, SLIPCOVER.frame_top - 0.02, seed)
    loose = scatter(size, SLIPCOVER.seat_top, 0.03, seed, inset=0.05)
    return fitted([*body, *hem, *loose, *over_arm(_square_arm(size, SLIPCOVER), seed)], size)


def rounded_sofa(size: Size, seed: int) -> list[Part]:
    """One thick roll bends round the corners from arm to arm; a deep seat with round front corners."""
    width, height, depth = size
    parts = [*_wrap(size, 0.13, height - 0.16, 0.36, seed)]
    inner, seat_depth = width - 0.42, depth - 0.22
    front = depth / 2
    # inside the roll all round: its corners are far rounder than a block's
    parts += padded("upholstery", (width - 0.36, 0.18, depth - 0.24), seed, 0.085, centre=(0, 0.16, 0.06))
    seats = 2 if inner < 2.0 else 3
    for number in range(seats):
        x = inner * ((number + 0.5) / seats - 0.5)
        seat = padded(
            "upholstery", (inner / seats - 0.006, 0.21, seat_depth), seed + 30 + number, 0.085,
            (0.006, 0.035, 0.03), 0.004, 0, 0.028, (x, 0.325, front - seat_depth / 2 - 0.01),
        )  # fmt: skip
        parts += seat
        rest = pillow("upholstery", (inner / seats * 1.0, 0.42, 0.30), seed + 40 + number, 0.02, 0, cells=24)
        parts += moved(rest, leaning(12), (x, 0.43 + 0.18, -depth / 2 + 0.33))
    legs = [
        bar("legs", (x, 0.08, z), (x, 0, z), (0.07, 0.07), radius=0.033)
        for x in (-width / 2 + 0.25, width / 2 - 0.25)
        for z in (-depth / 2 + 0.22, depth / 2 - 0.2)
    ]
    arm = Arm(width / 2 - 0.13, 0.26, height - 0.16, front - 0.12, 0.42, round_by=0.085, rise=0.10)
    return fitted([*parts, *legs, *scatter(size, 0.42, 0.04, seed, inset=0.14), *over_arm(arm, seed)], size)


def _wrap(size: Size, half: float, back_height: float, bend: float, seed: int) -> list[Part]:
    """The roll of a rounded sofa: an upright band along the arms and back, a little lower at the arms."""
    width, _, depth = size
    x, z = width / 2 - half, depth / 2 - half
    corner = np.linspace(0, np.pi / 2, 10)
    sides = np.linspace(z - 0.02, -z + bend, 8)
    left = np.stack([np.full(8, -x), sides], 1)
    turn = np.stack([-x + bend - bend * np.cos(corner), -z + bend - bend * np.sin(corner)], 1)
    middle = np.stack([np.linspace(-x + bend, x - bend, 14)[1:-1], np.full(12, -z)], 1)
    plan = np.concatenate([left[:-1], turn, middle, (turn * [-1, 1])[::-1], (left * [-1, 1])[::-1][1:]])
    share = np.clip((plan[:, 1] + z) / (2 * z), 0, 1)
    top = back_height + 0.16 - 0.16 * share**1.3
    low = 0.10
    path = np.stack([plan[:, 0], (top + low) / 2, plan[:, 1]], 1)
    roll = bolster("upholstery", path, half, (top - low) / 2, 3.6, 0.10, 32)
    return [roll.part("upholstery")]


def tufted_sofa(size: Size, seed: int) -> list[Part]:
    """Deep buttoned back between rolled arms, piped seat cushions, turned legs."""
    width, height, depth = size
    leg, roll = 0.12, 0.115
    parts: list[Part] = []
    inner = width - 4 * roll + 0.06
    arm_top = height - 0.10
    for side in (-1, 1):
        x = side * (width / 2 - roll)
        path = np.stack(
            [np.full(14, x), np.full(14, arm_top - roll), np.linspace(-depth / 2 + 0.1, depth / 2 - 0.09, 14)], 1
        )
        parts.append(bolster("upholstery", path, roll, roll * 0.95, 2.0, 0.02).part("upholstery"))
        panel = (0.15, arm_top - roll - leg, depth - 0.08)
        parts += padded(
            "upholstery", panel, seed + side, 0.03, (0.004, 0, 0.01), piping=0.004,
            centre=(x - side * 0.005, leg + panel[1] / 2, -0.005),
        )  # fmt: skip
    parts += padded(
        "upholstery",
        (width - 0.1, 0.17, depth - 0.08),
        seed,
        0.03,
        (0, 0, 0.008),
        0,
        0.004,
        centre=(0, leg + 0.085, -0.01),
    )
    back = buttoned("upholstery", (inner + 0.12, height - 0.30, 0.20), seed + 3)
    parts += moved(back, leaning(9), (0, (height + 0.30) / 2 - 0.01, -depth / 2 + 0.16))
    parts += _outer_back(inner + 0.1, leg + 0.1, height - 0.09, -depth / 2 + 0.05, seed + 4)
    rail = np.stack(
        [
            np.linspace(-inner / 2 - 0.04, inner / 2 + 0.04, 16),
            np.full(16, height - 0.075),
            np.full(16, -depth / 2 + 0.085),
        ],
        1,
    )
    parts.append(bolster("upholstery", rail, 0.085, 0.075, 2.0, 0.03).part("upholstery"))
    seats = max(1, round(inner / 0.7))
    for number in range(seats):
        x = inner * ((number + 0.5) / seats - 0.5)
        parts += padded(
            "upholstery", (inner / seats - 0.004, 0.155, depth - 0.29), seed + 30 + number, 0.045,
            (0.004, 0.028, 0.015), 0.004, 0.004, 0.042, (x, 0.365, 0.105),
        )  # fmt: skip
    arm = Arm(width / 2 - roll, 2 * roll, arm_top, depth / 2 - 0.12, 0.44, round_by=0.1)
    loose = [*scatter(size, 0.44, 0.04, seed, 0.06, most=3), *over_arm(arm, seed)]
    return fitted([*parts, *tapered_legs(width, depth, leg, 0.08, 0.0), *loose], size)


def buttoned(material: str, size: Size, seed: int, pitch: float = 0.17) -> list[Part]:
    """An upright padded block, its +z face drawn in by a diamond lattice of covered buttons."""
    width, height, thick = size
    columns = max(2, round(width / pitch))
    across, up = width / columns, height / max(2, round(height / (pitch * 0.92)))

    def diamond(x: Points, y: Points) -> Points:
        a, b = x / across + y / up, x / across - y / up
        depth: Points = (np.abs(np.sin(np.pi * a) * np.sin(np.pi * b)) + 1e-9) ** 0.38
        return depth

    def shape(points: Points) -> Points:
        face = np.clip((points[:, 2] - thick / 2 + 0.05) / 0.05, 0, 1)
        inside = np.clip((1 - np.abs(points[:, 0]) * 2 / width) * 12, 0, 1) * np.clip(
            (1 - np.abs(points[:, 1]) * 2 / height) * 7, 0, 1
        )
        relief = 0.052 * face * (diamond(points[:, 0], points[:, 1]) - 1) * inside
        return np.stack([points[:, 0], points[:, 1], points[:, 2] + relief], 1)

    shell = rounded_box((width, height, thick), 0.05, min(0.019, across / 9)).shaped(shape)
    parts = [shell.part(material)]
    half_columns, half_rows = int(width / across), int(height / up)
    for i in range(-half_columns, half_columns + 1):
        for j in range(-half_rows, half_rows + 1):
            x, y = i * across / 2, j * up / 2
            if (i + j) % 2 or abs(x) > width / 2 - 0.06 or abs(y) > height / 2 - 0.06:
                continue
            button = pillow(material, (0.032, 0.032, 0.022), seed, 0.0, blunt=0.2, cells=5)
            parts += moved(button, None, (x, y, thick / 2 - 0.045))
    return parts


def skirt(material: str, plan: tuple[float, float], low: float, high: float, seed: int) -> list[Part]:
    """A cloth skirt under a corded seam round the x-z rectangle `plan`, slightly waved, pleated at each corner."""
    loop = outline(plan[0] / 2, plan[1] / 2, 0.03, 0.026)
    seam = cord(material, np.insert(loop, 1, high, axis=1), 0.005)
    from_corner = np.abs(np.abs(loop[:, 0]) - plan[0] / 2) + np.abs(np.abs(loop[:, 1]) - plan[1] / 2)
    tangent = np.insert(np.roll(loop, -1, 0) - np.roll(loop, 1, 0), 1, 0.0, axis=1)
    outward = unit(np.cross([0.0, 1.0, 0.0], tangent))[:, [0, 2]]
    wave = 0.008 + 0.004 * lumps(loop, seed, 0.22) - 0.009 * np.exp(-(((from_corner - 0.05) / 0.012) ** 2))
    # the last column is the first again, so that the texture doesn't run back
    loop, outward, wave = (np.concatenate([around, around[:1]]) for around in (loop, outward, wave))
    levels = np.concatenate([np.linspace(high, low + 0.01, 7), [low, low + 0.003, low + 0.03]])
    inset = np.array([0, 0, 0, 0, 0, 0, 0, 0.004, 0.009, 0.010])
    loose = np.clip((high - levels) / (high - low), 0, 1)
    out = loose[:, None] * wave[None] - inset[:, None]
    placed = loop[None] + out[..., None] * outward[None]
    points = np.stack([placed[..., 0], np.broadcast_to(levels[:, None], out.shape), placed[..., 1]], -1)
    run = np.append(0, np.cumsum(np.linalg.norm(np.diff(loop, axis=0), axis=1)))
    uv = np.stack(np.broadcast_arrays(run[None], levels[:, None] - 0.3 * inset[:, None]), -1)
    number = np.arange(out.size).reshape(out.shape)
    number[:, -1] = number[:, 0]
    faces = grid_faces(len(levels), len(loop), turned_over=True)
    return [seam, Shell(points.reshape(-1, 3), uv.reshape(-1, 2), faces, number.ravel()).part(material)]


def _seats(width: float, cut: Cut) -> int:
    return max(1, round((width - 2 * cut.arm) / cut.seat_width))


def _square_body(size: Size, seats: int, seed: int, cut: Cut) -> list[Part]:
    """Frame, arms, back and cushions of a square-armed sofa, without what it stands on."""
    width, height, depth = size
    front, back = depth / 2, -depth / 2
    inner = width - 2 * cut.arm
    frame = (width - 0.02, cut.frame_top - cut.leg, depth - 2 * cut.recess)
    parts = padded("upholstery", frame, seed, 0.02, spacing=0.15, centre=(0, (cut.leg + cut.frame_top) / 2, 0))
    for side in (-1, 1):
        arm = (cut.arm, cut.arm_top - cut.leg, depth - 0.02)
        parts += padded(
            "upholstery", arm, seed + 10 + side, cut.edge, (0.008, 0.012, 0.008), cut.slack / 4, 0.0035, 0.045,
            (side * (width - cut.arm) / 2, (cut.arm_top + cut.leg) / 2, 0),
        )  # fmt: skip
    shell_top = height - 0.09
    backrest = padded("upholstery", (inner + 0.02, shell_top - cut.leg, 0.16), seed + 20, 0.05, (0, 0.01, 0.01), 0.002)
    parts += moved(backrest, leaning(7), (0, (shell_top + cut.leg) / 2, back + 0.13))
    parts += _outer_back(inner + 0.02, cut.leg + 0.01, shell_top - 0.07, back + 0.04, seed + 21)
    seat_depth, place, thick = depth - 0.25, inner / seats, cut.seat_top - cut.frame_top - 0.02
    tilts = 13 + np.random.default_rng(seed).uniform(-1.5, 1.5, seats)
    rest_height = height + 0.02 - cut.seat_top + 0.08
    for number, tilt in enumerate(tilts):
        x = -inner / 2 + place * (number + 0.5)
        parts += padded(
            "upholstery", (place - 0.008, thick, seat_depth), seed + 30 + number, 0.05, (0.012, cut.crown, 0.02),
            cut.slack, 0.0035, 0.031, (x, (cut.seat_top + cut.frame_top) / 2 - 0.005, front - seat_depth / 2 - 0.005),
        )  # fmt: skip
        rest = pillow("upholstery", (place * 1.02, rest_height, cut.plump), seed + 40 + number, 0.03, 0.0035)
        parts += moved(rest, leaning(tilt), (x, cut.seat_top + rest_height / 2 - 0.05, back + 0.275))
    return parts


def _outer_back(width: float, low: float, high: float, z: float, seed: int) -> list[Part]:
    """The upright board behind a leaning back, which closes a sofa that is seen from behind."""
    return padded("upholstery", (width, high - low, 0.06), seed, 0.02, spacing=0.25, centre=(0, (low + high) / 2, z))


def _square_arm(size: Size, cut: Cut) -> Arm:
    width, _, depth = size
    return Arm(
        (width - cut.arm) / 2, cut.arm, cut.arm_top + 0.008, depth / 2 - 0.1, cut.arm_top - cut.leg - 0.04,
        round_by=max(cut.edge, 0.045),
    )  # fmt: skip


def tapered_legs(width: float, depth: float, height: float, inset: float = 0.07, splay: float = 0.03) -> list[Part]:
    """Four tapered legs leaning outward by `splay` m."""
    legs = []
    for sx in (-1, 1):
        for sz in (-1, 1):
            x, z = sx * (width / 2 - inset), sz * (depth / 2 - inset)
            foot = (x + sx * splay, 0.0, z + sz * splay)
            legs.append(bar("legs", (x, height + 0.02, z), foot, (0.042, 0.042), (0.024, 0.024), 0.011))
    return legs


def scatter(size: Size, seat_top: float, back: float, seed: int, inset: float = 0.0, most: int = 4) -> list[Part]:
    """Up to four piped loose cushions: one leaning in each corner, before it a smaller one of the role `accents`.

    Hardly higher than the back. `back` is where they stand along z m; they are `inset` m farther in than by slim arms.
    """
    rng = np.random.default_rng(seed + 90)
    width, height, _ = size
    largest = float(np.clip((height - seat_top - 0.01) / 0.935, 0.28, 0.46))
    behind = ((-1, (0.97, 0.97), 0.39, 0.0), (1, (1.0, 1.0), 0.40, 0.0))
    before = ((1, (0.8, 0.8), 0.63, 0.04), (-1, (1.12, 0.62), 0.50, 0.13))
    parts: list[Part] = []
    for number, (side, share, inward, out) in enumerate((*behind, *before)[: most if width > 1.75 else min(most, 3)]):
        wide, high = (largest * each for each in share)
        role = "cushions" if number < len(behind) else "accents"
        cushion = pillow(
            role, (wide, high, 0.17 - 0.03 * (number == 3)), seed + 40 * number + side + 2, 0.08, 0.003, cells=15
        )
        leant = moved(cushion, leaning(22 + rng.uniform(-3, 3)))
        turn = turned(-side * (24 - 18 * (number > 1)) + rng.uniform(-4, 4))
        parts += moved(leant, turn, (side * (width / 2 - inward - inset), seat_top + high * 0.47, back + out))
    return parts
