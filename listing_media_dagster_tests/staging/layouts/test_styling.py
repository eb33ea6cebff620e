"""Rooms look styled: accents that show and agree, lamps beside seats, pictures over them, plants in company."""

from __future__ import annotations

from functools import cache
from itertools import product

import cv2
import numpy as np
import pytest

from listing_media_dagster.listing import RoomType
from listing_media_dagster.staging.arrangement import Arrangement, PlacedPiece
from listing_media_dagster.staging.floor_plan import plan_floor
from listing_media_dagster.staging.furniture.designs import library
from listing_media_dagster.staging.kits import Furnishing, Slot, choose_look, load_kits
from listing_media_dagster.staging.layout import arrange
from listing_media_dagster.staging.layouts.setting import gap_between
from listing_media_dagster.staging.layouts.walls import corner_closeness
from listing_media_dagster.staging.room import RoomGeometry
from listing_media_dagster_tests.helpers.box_rooms import box_room, camera_at

KITS = load_kits()
SCHEMES = 12  # seeds that between them draw all of a kit's colours


def room() -> RoomGeometry:
    return box_room(
        5.4, 5.8, (0.7, 5.6), camera_at(yaw=24, size=(480, 320)), {"east": [("window", 1.2, 2.8, 0.9, 2.2)]}
    )


@cache
def living_room(kit: str, seed: int) -> Arrangement:
    return arrange(room(), KITS[kit], RoomType.LIVING_ROOM, seed, seed)


def named(arrangement: Arrangement, name: str) -> PlacedPiece | None:
    return next((piece for piece in arrangement.pieces if piece.name == name), None)


def lab(colour: str) -> np.ndarray:
    rgb = np.array([[[int(colour[i : i + 2], 16) for i in (1, 3, 5)]]], np.float32) / 255
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[0, 0])


@pytest.mark.parametrize("kit", sorted(KITS))
def test_accents_stand_out_from_the_sofa_and_agree_with_the_throw(kit: str) -> None:
    for seed in range(SCHEMES):
        sofa = choose_look(KITS[kit], Furnishing.LIVING_ROOM, Slot.SOFA, seed, library())
        colours = {role: finish.colour for role, finish in sofa.finishes.items()}
        assert np.linalg.norm(lab(colours["accents"]) - lab(colours["upholstery"])) > 15, (seed, colours)
        assert np.linalg.norm(lab(colours["cushions"]) - lab(colours["accents"])) > 20, (seed, colours)


@pytest.mark.parametrize("kit", sorted(KITS))
def test_one_accent_runs_through_a_room(kit: str) -> None:
    """The lamp's foot, the books or the picture repeat the colour of the sofa's cushions."""
    for seed in range(SCHEMES):
        looks = [
            choose_look(KITS[kit], Furnishing.LIVING_ROOM, slot, seed, library())
            for slot in (Slot.SOFA, Slot.BOOKS, Slot.TABLE_LAMP, Slot.ART)
        ]
        accent = looks[0].finishes["accents"].colour
        others = [colour for look in looks[1:] for f in look.finishes.values() for colour in (f.colour, f.accent)]
        assert accent in others, seed


@pytest.mark.parametrize("kit", sorted(KITS))
def test_six_homes_get_six_living_rooms(kit: str) -> None:
    def signature(seed: int) -> tuple[object, ...]:
        looks = [
            choose_look(KITS[kit], Furnishing.LIVING_ROOM, slot, seed, library())
            for slot in (Slot.SOFA, Slot.ARMCHAIR, Slot.COFFEE_TABLE, Slot.RUG, Slot.ART)
        ]
        return tuple((look.design.name, *(f.colour + str(f.accent) for f in look.finishes.values())) for look in looks)

    assert len({signature(seed) for seed in range(100, 106)}) >= 5


def test_side_tables_and_lamps_stand_at_the_seat_they_serve() -> None:
    for kit, seed in product(("scandinavian", "modern"), range(3)):
        arrangement = living_room(kit, seed)
        seats = [p for p in arrangement.pieces if p.name.startswith(("sofa", "armchair"))]
        for name in ("side table", "floor lamp"):
            if (piece := named(arrangement, name)) is not None:
                assert min(gap_between(piece, seat) for seat in seats) < 0.6, (kit, seed, name)


def test_an_arched_lamp_bends_toward_the_sofa() -> None:
    found = 0
    for seed in range(6):
        arrangement = living_room("modern", seed)
        lamp, sofa = named(arrangement, "floor lamp"), named(arrangement, "sofa")
        if lamp is None or sofa is None or lamp.design != "floor_lamp_arc":
            continue
        found += 1
        head = np.array([np.cos(np.radians(lamp.turn)), -np.sin(np.radians(lamp.turn))])  # its +x in the room
        away = np.array(lamp.position)[[0, 2]] - np.array(sofa.position)[[0, 2]]
        assert head @ away < 0, seed
    assert found


def test_a_plant_stands_in_a_corner_or_beside_something() -> None:
    plan = plan_floor(room())
    for kit, seed in product(("scandinavian", "modern"), range(3)):
        arrangement = living_room(kit, seed)
        plant = named(arrangement, "plant")
        if plant is not None:
            large = [p for p in arrangement.pieces if p.size[0] * p.size[1] > 0.6 and p is not plant]
            beside = min(gap_between(plant, other) for other in large) < 0.5
            assert beside or corner_closeness(plan, plant) > 0.45


def test_art_hangs_a_hand_over_the_sofa_and_near_eye_level() -> None:
    found = 0
    for kit, seed in product(("scandinavian", "modern"), range(3)):
        arrangement = living_room(kit, seed)
        art, sofa = named(arrangement, "art over sofa"), named(arrangement, "sofa")
        if art is not None and sofa is not None:
            found += 1
            middle = art.position[1] + art.size[1] / 2
            assert 0.149 <= art.position[1] - sofa.size[1] <= 0.251 or middle == pytest.approx(1.4, abs=0.01)
            assert 1.39 < middle < 1.62
    assert found >= 3


def test_an_armchair_stands_at_the_rug() -> None:
    for seed in range(3):
        arrangement = living_room("scandinavian", seed)
        rug = named(arrangement, "rug")
        chairs = [p for p in arrangement.pieces if p.name.startswith("armchair")]
        assert rug is None or all(gap_between(chair, rug) < 0.3 for chair in chairs)
