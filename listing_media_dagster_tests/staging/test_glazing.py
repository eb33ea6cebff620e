"""Panes side by side become one opening; doors, passages and windows apart stay what they are."""

from __future__ import annotations

import pytest

from listing_media_dagster.staging.glazing import Framed, joined_panes

CAMERA = 1.4


def pane(left: float, right: float, bottom: float = 0.15, top: float = 2.4) -> Framed:
    return Framed("window", (left, right), bottom, top)


def door(left: float, right: float) -> Framed:
    return Framed("door", (left, right), 0.0, 2.1)


def test_a_wall_of_glass_is_one_window_even_where_panes_look_like_doors() -> None:
    (glass,) = joined_panes(
        [pane(-4, -3.2), door(-3.1, -2.2), pane(-2.1, -1.3, 0.9), door(-1.2, -0.4), pane(-0.3, 1)], 1.4
    )
    assert glass == Framed("window", (-4, 1), 0.0, 2.4)


def test_sashes_of_one_strip_are_one_window_with_its_sill() -> None:
    (strip,) = joined_panes([pane(0.1, 0.9, 0.8), pane(1.0, 1.8, 0.85), pane(1.9, 2.7, 0.8)], CAMERA)
    assert strip == Framed("window", (0.1, 2.7), 0.8, 2.4)


@pytest.mark.parametrize(
    "apart",
    [
        [pane(-2, -1, 0.9), pane(-0.5, 0.5, 0.9)],
        [pane(-2, -1, 0.9), door(-0.9, 0.0)],
        [pane(-2, -1, 0.9), door(-0.9, 0.0), pane(0.1, 1.0, 0.9)],
        [door(-2, -1.2), door(-1.1, -0.3)],
        [pane(-2, -1, 0.1), Framed("passage", (-0.9, 0.6), 0.0, 2.1), pane(0.7, 1.6, 0.1)],
    ],
    ids=["a pier between", "a door beside", "a door between sills", "a double door", "a passage between"],
)
def test_what_stands_apart_or_is_walked_through_stays_as_it_is(apart: list[Framed]) -> None:
    assert joined_panes(apart, CAMERA) == apart


def test_more_doors_in_a_row_than_a_wall_has_are_panes_or_fronts() -> None:
    (row,) = joined_panes([door(-2, -1.2), door(-1.2, -0.4), door(-0.4, 0.4)], CAMERA)
    assert row.kind == "window"


def test_a_passage_full_of_glass_is_a_windows_frame() -> None:
    (window,) = joined_panes([Framed("passage", (-1, 1), 0.0, 2.2), pane(-0.9, 0.8, 0.7)], CAMERA)
    assert window == pane(-0.9, 0.8, 0.7)
