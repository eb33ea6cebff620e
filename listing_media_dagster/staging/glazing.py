"""Panes side by side are one opening: a wall of glass, a strip of sashes, a glazed door between its sidelights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from listing_media_dagster.staging.room import OpeningKind

MULLION = 0.22  # camera heights between two panes of one strip; what is wider is wall
SAME_SILL, SAME_HEAD = 0.22, 0.3  # camera heights by which sashes of one strip may seem to differ
GLAZED = 0.5  # share of a passage: one with so much glass in it is a window's frame
MOST_DOORS = 2  # side by side, as in a double door; more are panes, or the fronts of a wardrobe to be left in sight
LOW_SILL = 0.32  # camera heights: panes that begin lower reach the floor, behind a frame's foot or a board


@dataclass(frozen=True)
class Framed:
    """What is framed on a wall: `span` m along it, `bottom` and `top` m over the floor."""

    kind: OpeningKind
    span: tuple[float, float]
    bottom: float
    top: float

    @property
    def width(self) -> float:
        return self.span[1] - self.span[0]


def joined_panes(framed: Sequence[Framed], height: float) -> list[Framed]:
    """Return what is framed on one wall, left to right, neighbouring panes joined. `height` m is the camera's.

    Doors at the end of a strip stay doors, and so do those between windows with sills: one walks through them, where
    the "doors" within a wall of glass are panes that a handrail outdoors or a transom crosses at a door's height.
    """
    joined: list[Framed] = []
    left_to_right = sorted(_without_glazed_passages(framed), key=lambda each: each.span)
    for strip in _strips(left_to_right, MULLION * height):
        panes = _panes_of(strip)
        is_one = len(panes) > 1 and (_is_wall_of_glass(panes, height) or _are_alike(panes, height))
        joined += [each for each in strip if each not in panes] + [_around(panes)] if is_one else strip
    return sorted(joined, key=lambda each: each.span)


def _panes_of(strip: Sequence[Framed]) -> Sequence[Framed]:
    """Return a strip without the doors at its ends; of nothing but doors in a row all, if no wall has as many."""
    windows = [number for number, each in enumerate(strip) if each.kind == "window"]
    if windows:
        return strip[windows[0] : windows[-1] + 1]
    return strip if len(strip) > MOST_DOORS else ()


def _without_glazed_passages(framed: Sequence[Framed]) -> list[Framed]:
    windows = [each for each in framed if each.kind == "window"]

    def glass(each: Framed) -> float:
        return sum(max(0.0, min(w.span[1], each.span[1]) - max(w.span[0], each.span[0])) for w in windows)

    return [each for each in framed if each.kind != "passage" or glass(each) < GLAZED * each.width]


def _strips(framed: Sequence[Framed], gap: float) -> list[list[Framed]]:
    """Return what stands side by side with at most `gap` m between; passages and niches are never part of a strip."""
    strips = [[framed[0]]] if framed else []
    for before, after in pairwise(framed):
        if after.span[0] - before.span[1] < gap and not {"passage", "niche"} & {before.kind, after.kind}:
            strips[-1].append(after)
        else:
            strips.append([after])
    return strips


def _is_wall_of_glass(panes: Sequence[Framed], height: float) -> bool:
    """Say whether most of the panes reach down to the floor."""
    low = sum(pane.width for pane in panes if pane.bottom < LOW_SILL * height)
    return low > 0.5 * sum(pane.width for pane in panes)


def _are_alike(panes: Sequence[Framed], height: float) -> bool:
    sills, heads = [pane.bottom for pane in panes], [pane.top for pane in panes]
    return max(sills) - min(sills) < SAME_SILL * height and max(heads) - min(heads) < SAME_HEAD * height


def _around(panes: Sequence[Framed]) -> Framed:
    span = (min(pane.span[0] for pane in panes), max(pane.span[1] for pane in panes))
    return Framed("window", span, min(pane.bottom for pane in panes), max(pane.top for pane in panes))
