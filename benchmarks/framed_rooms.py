"""Empty rooms by chance with what is easily missed: white doors on white walls, double doors, wide and arched passages
that the floor goes on through, niches, panelled walls, and half walls with a counter on top."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.empty_rooms import (
    HOME,
    EmptyRoom,
    Opening,
    camera_by_chance,
    joinery_by_chance,
    look_by_chance,
    neighbour,
)
from listing_media_dagster.path_tracer import solids as g
from listing_media_dagster.path_tracer.solids import Part
from listing_media_dagster.sample_listing import joinery, rooms

FEATURES = ("white door", "double door", "wide passage", "arch", "niche", "half wall", "panelling", "plain")
FLOORS = ("planks along x", "herringbone", "pale laminate", "tiles", "planks along z", "carpet")
WHITE = (0.80, 0.79, 0.77)
WALL_THICKNESS = 0.14  # m between two rooms


def framed_room(number: int) -> EmptyRoom:
    """Return the room of this number: its feature and its floor go round with it, the rest is chance.

    `openings` are what was built: windows, doors, passages, niches; `blocks` the half walls' boxes in the room.
    """
    rng = np.random.default_rng(7000 + number)
    feature, floor = FEATURES[number % len(FEATURES)], FLOORS[number % len(FLOORS)]
    width, depth = rng.uniform(3.6, 6.0), rng.uniform(4.2, 6.6)
    height = float(rng.choice([2.4, 2.5, 2.6, 2.8]))
    side = str(rng.choice(HOME))
    openings: dict[str, list[tuple[str, Opening]]] = {each: [] for each in HOME}
    openings[side] = _featured(rng, feature, width if side == "north" else depth)
    lit = str(rng.choice([each for each in HOME if each != side]))
    openings[lit] = [("window", _window(rng, width if lit == "north" else depth))]
    holes = {each: [opening for _, opening in found] for each, found in openings.items()}
    pieces = rooms.shell(width, height, depth, holes, crown=bool(rng.random() < 0.4))
    for each, found in openings.items():
        for kind, opening in found:
            pieces += joinery.on_wall(_joinery(rng, feature, kind, opening), each, width, depth)
    if feature == "panelling":
        for each in HOME:
            pieces += joinery.on_wall(_panelling(width if each == "north" else depth, holes[each]), each, width, depth)
    blocks = _half_walls(rng, width, depth) if feature == "half wall" else ()
    for low, high in blocks:
        top = (low[0] - 0.03, high[1], low[2] - 0.03), (high[0] + 0.03, high[1] + 0.04, high[2] + 0.03)
        pieces += [g.box("wall", low, high), g.box("trim", *top, 0.004)]
    pieces += joinery.flush_lamp(width / 2, depth / 2, height)
    look = look_by_chance(rng, floor)
    if feature in ("white door", "double door", "panelling", "plain"):
        look = replace(look, wall=WHITE, brown_trim=False)
    camera, corner, traits = camera_by_chance(rng, number, width, depth)
    traits |= {"floor": floor, "sun": False, "feature": feature}
    size = (width, height, depth)
    return EmptyRoom(number, tuple(pieces), look, None, camera, corner, size, openings, traits, blocks)


def _featured(rng: np.random.Generator, feature: str, length: float) -> list[tuple[str, Opening]]:
    """What is cut into the wall for a feature, somewhere along it."""
    kinds = {
        "white door": ("door", (0.75, 0.95), 0.0, (1.98, 2.2)),
        "double door": ("door", (1.25, 1.6), 0.0, (2.05, 2.25)),
        "wide passage": ("passage", (1.7, 3.2), 0.0, (2.05, 2.25)),
        "arch": ("passage", (1.2, 2.6), 0.0, (2.0, 2.25)),
        "niche": ("niche", (0.4, 0.7), float(rng.uniform(0.85, 1.0)), (1.6, 2.0)),
    }
    if feature not in kinds:
        return []
    kind, widths, bottom, tops = kinds[feature]
    wide = min(float(rng.uniform(*widths)), length - 0.7)
    at = float(rng.uniform(0.3, length - wide - 0.3))
    return [(kind, (at, bottom, at + wide, float(rng.uniform(*tops))))]


def _window(rng: np.random.Generator, length: float) -> Opening:
    wide = rng.uniform(1.0, 1.8)
    at = rng.uniform(0.4, length - wide - 0.4)
    return float(at), float(rng.choice([0.45, 0.75, 0.9])), float(at + wide), float(rng.uniform(2.05, 2.25))


def _joinery(rng: np.random.Generator, feature: str, kind: str, opening: Opening) -> list[Part]:
    x0, y0, x1, y1 = opening
    if kind == "niche":
        back = g.quad("wall", (x0, y0, 0.12), (x1 - x0, 0, 0), (0, y1 - y0, 0), (0, 0, -1))
        return [*joinery.reveal(opening, "wall", 0.12), back, *_arched(opening, (x1 - x0) / 2 - 0.001, 0.12)]
    if feature == "double door":
        middle = (x0 + x1) / 2
        leaves = joinery.door((x0, y0, middle, y1), handle_left=False) + joinery.door(
            (middle, y0, x1, y1), handle_left=True
        )
        return [each for each in leaves if not _is_inner_casing(each, x0, x1)]
    if feature in ("wide passage", "arch"):
        cased = feature == "wide passage" and rng.random() < 0.5
        pieces = joinery.reveal(opening, "trim" if cased else "wall", WALL_THICKNESS)
        pieces += joinery.casing(opening) if cased else []
        if feature == "arch":
            pieces += _arched(opening, float(rng.uniform(0.2, 0.45)), WALL_THICKNESS)
        return pieces + neighbour(opening)
    return joinery_by_chance(rng, kind, opening)


def _is_inner_casing(piece: Part, x0: float, x1: float) -> bool:
    """Say whether a part stands before the wall between two leaves, where a double door has none."""
    x, z = piece.vertices[:, 0], piece.vertices[:, 2]
    before_wall = z.max() < 0.01 and piece.material == "trim"
    return bool(before_wall and x.max() - x.min() < 0.2 and x.min() > x0 + 0.2 and x.max() < x1 - 0.2)


def _arched(opening: Opening, radius: float, thick: float) -> list[Part]:
    """Fill the upper corners of a hole so that it ends in quarter circles of `radius` m."""
    x0, _, x1, y1 = opening
    turns = np.linspace(0, np.pi / 2, 9)
    pieces = []
    for corner, way in ((x0, 1), (x1, -1)):
        x = corner + way * radius * (1 - np.cos(turns))
        y = y1 - radius * (1 - np.sin(turns))
        outline = np.column_stack([np.r_[corner, x], np.r_[y1, y], np.zeros(10)])
        faces = [(0, i, i + 1) for i in range(1, 9)]
        pieces.append(g.part("wall", outline, np.tile((0, 0, -1.0), (10, 1)), outline[:, :2], faces))
        for i in range(8):
            along = (x[i + 1] - x[i], y[i + 1] - y[i], 0.0)
            inward = (way * float(np.cos(turns[i])), -float(np.sin(turns[i])), 0.0)
            pieces.append(g.quad("wall", (x[i], y[i], 0.0), along, (0, 0, thick), inward))
    return pieces


def _panelling(length: float, holes: list[Opening]) -> list[Part]:
    """A dado rail and frames of mouldings under and over it, left out at windows and doors."""
    pieces = []
    for left in np.arange(0.15, length - 0.9, 0.95):
        right = float(left) + 0.8
        if all(right < hole[0] - 0.1 or left > hole[2] + 0.1 for hole in holes):
            for low, high in ((0.22, 0.72), (0.98, 2.2)):
                pieces += g.frame("trim", (float(left), low, -0.012), (right, high, 0.004), 0.03, 0.004)
            pieces.append(g.box("trim", (float(left) - 0.07, 0.8, -0.02), (right + 0.08, 0.85, 0.004), 0.004))
    return pieces


def _half_walls(
    rng: np.random.Generator, width: float, depth: float
) -> tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...]:
    """A half wall that juts out from the left or the right wall and ends in the room, as those of open kitchens do."""
    reach, high = float(rng.uniform(0.35, 0.6)) * width, float(rng.uniform(0.85, 1.1))
    z = float(rng.uniform(0.22, 0.4)) * depth
    left = rng.random() < 0.5
    low = (0.0 if left else width - reach, 0.0, z)
    return ((low, (low[0] + reach, high, z + 0.14)),)
