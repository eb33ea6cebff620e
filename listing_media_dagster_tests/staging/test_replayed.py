"""Layouts edited by hand: what can be rendered is, the rest is refused with the piece and the value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from listing_media_dagster.listing import RoomType
from listing_media_dagster.staging.arrangement import MOST_PIECES, Arrangement
from listing_media_dagster.staging.furniture.designs import library
from listing_media_dagster.staging.kits import load_kits
from listing_media_dagster.staging.layout import arrange
from listing_media_dagster.staging.replayed import BadLayout, check_layout
from listing_media_dagster.staging.room import RoomGeometry
from listing_media_dagster.staging.room_geometry import estimate_room_geometry

ROOM = Path(__file__).parent / "rendered_rooms" / "sunless.jpg"


@pytest.fixture(scope="module")
def geometry() -> RoomGeometry:
    base = cv2.imread(str(ROOM), cv2.IMREAD_COLOR_RGB)
    assert base is not None
    return estimate_room_geometry(np.asarray(base, np.uint8), None)


@pytest.fixture(scope="module")
def layout(geometry: RoomGeometry) -> dict[str, Any]:
    whole = arrange(geometry, load_kits()["japandi"], RoomType.UNKNOWN, 0, 5, library())
    return whole.model_dump(mode="json")


def edited(layout: dict[str, Any], **changes: object) -> Arrangement:
    """The layout with its first piece changed, read back from JSON."""
    first, *others = layout["pieces"]
    text = json.dumps({**layout, "pieces": [{**first, **changes}, *others]})
    return Arrangement.model_validate_json(text)


@pytest.mark.parametrize("room", ["unknown", "bedroom", "dining_room", "home_office", "childrens_room"])
def test_what_a_layout_places_can_be_replayed(geometry: RoomGeometry, room: str) -> None:
    for kit in load_kits().values():
        check_layout(arrange(geometry, kit, RoomType(room), 0, 5, library()), geometry, library())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"design": "throne"}, "unknown design 'throne'; there are "),
        ({"size": (9.0, 0.8, 0.9)}, "width 9 m; "),
        ({"position": (0, 0, 3)}, "at 0, 0, 3 m: the photo doesn't show that place"),
        ({"position": (0, 0, -50)}, "over 15 m from the camera"),
        ({"position": (0, 0, -12)}, "behind the wall at z"),
        ({"finishes": {}}, "no finish for"),
        ({"finishes": {"wheels": {"surface": "wood", "colour": "#ffffff"}}}, "no 'wheels' to finish"),
    ],
)
def test_a_piece_that_cannot_be_rendered_is_named(
    geometry: RoomGeometry, layout: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadLayout, match=said) as refused:
        check_layout(edited(layout, **changes), geometry, library())
    assert str(refused.value).startswith(layout["pieces"][0]["name"])


def test_every_piece_that_cannot_be_rendered_has_a_line(geometry: RoomGeometry, layout: dict[str, Any]) -> None:
    two = {**layout, "pieces": [{**piece, "position": (0, 0, -50)} for piece in layout["pieces"][:2]]}
    with pytest.raises(BadLayout) as refused:
        check_layout(Arrangement.model_validate(two), geometry, library())
    assert [line.split(" at ")[0] for line in str(refused.value).splitlines()] == [
        piece["name"] for piece in layout["pieces"][:2]
    ]


def test_an_unknown_surface_is_named(geometry: RoomGeometry, layout: dict[str, Any]) -> None:
    finishes = layout["pieces"][0]["finishes"]
    wrong = {role: {**finish, "surface": "slime"} for role, finish in finishes.items()}
    with pytest.raises(BadLayout, match="unknown surface 'slime'; there are "):
        check_layout(edited(layout, finishes=wrong), geometry, library())


@pytest.mark.parametrize(
    "changes",
    [
        {"size": (0, 1, 1)},
        {"size": (1e9, 1, 1)},
        {"size": (-1, 1, 1)},
        {"size": (float("nan"), 1, 1)},
        {"turn": 1e308},
        {"position": (0, 0, 1e9)},
        {"seed": -1},
        {"seed": 10**30},
        {"design": ""},
    ],
)
def test_numbers_that_no_furniture_has_are_no_layout(layout: dict[str, Any], changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        edited(layout, **changes)


def test_a_layout_has_some_pieces_but_not_thousands(layout: dict[str, Any]) -> None:
    for pieces in ([], layout["pieces"][:1] * (MOST_PIECES + 1)):
        with pytest.raises(ValidationError):
            Arrangement.model_validate_json(json.dumps({**layout, "pieces": pieces}))
