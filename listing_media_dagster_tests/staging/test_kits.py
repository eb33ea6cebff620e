"""Design kits are read strictly, speak only of furniture that exists, and choose the same pieces for the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from listing_media_dagster.listing import RoomType
from listing_media_dagster.staging.furniture.designs import library
from listing_media_dagster.staging.furniture.finishes import SURFACES
from listing_media_dagster.staging.kits import (
    BadKit,
    DesignKit,
    Furnishing,
    Slot,
    choose_look,
    find_kit,
    furnishing_of,
    load_kits,
    read_kit,
)

KIT_IDS = ("coastal", "farmhouse", "industrial", "japandi", "luxury", "mid_century", "modern", "scandinavian")

PLAIN: dict[str, Any] = {
    "id": "plain",
    "title": "Plain",
    "description": "For tests.",
    "palette": {"white": "#f0f0f0", "brown": "#806040"},
    "finishes": {"cloth": {"surface": "linen", "colour": "white"}, "wood": {"surface": "wood", "colour": "brown"}},
    "defaults": {"upholstery": "cloth", "cushions": "cloth", "legs": "wood", "top": "wood"},
    "pieces": {"sofa": {"designs": ["sofa_track", "sofa_rounded"]}},
    "rooms": {
        "living_room": {
            "caption": "a photo of a plain living room",
            "positive": "plain living room",
            "negative": "clutter",
            "pieces": {"sofa": None, "coffee_table": {"designs": "coffee_table_round"}},
        }
    },
}


def read(**changes: Any) -> DesignKit:
    return read_kit("plain.yaml", yaml.safe_dump({**PLAIN, **changes}).encode(), library(), SURFACES)


def with_sofa(**choice: Any) -> dict[str, Any]:
    return {"pieces": {"sofa": {"designs": ["sofa_track"], **choice}}}


def test_eight_styles_come_with_the_package_each_for_five_rooms() -> None:
    kits = load_kits()
    assert tuple(sorted(kits)) == KIT_IDS
    assert all(set(kit.rooms) == set(Furnishing) for kit in kits.values())


@pytest.mark.parametrize("kit_id", KIT_IDS)
def test_a_kit_can_dress_every_design_it_names(kit_id: str) -> None:
    kit = load_kits()[kit_id]
    for furnishing, room in kit.rooms.items():
        for slot in room.pieces:
            for seed in range(4):
                look = choose_look(kit, furnishing, slot, seed, library())
                assert set(look.finishes) == set(look.design.roles)
                assert {finish.surface for finish in look.finishes.values()} <= set(SURFACES)


@pytest.mark.parametrize("kit_id", KIT_IDS)
def test_captions_name_style_and_room_and_fit_a_text_encoder(kit_id: str) -> None:
    kit = load_kits()[kit_id]
    for furnishing, room in kit.rooms.items():
        assert room.caption.startswith("a photo of a")
        assert furnishing.value.split("_")[-1] in room.caption
        assert len(room.caption.split()) < 30
        assert len(room.positive.split()) < 60


def test_a_mistyped_key_is_named_with_its_file() -> None:
    with pytest.raises(BadKit, match=r"plain\.yaml: pieces\.sofa\.colour: unknown key"):
        read(**with_sofa(colour="white"))


def test_a_slot_that_no_layout_fills_is_refused() -> None:
    with pytest.raises(BadKit, match=r"plain\.yaml: pieces\.sofaa"):
        read(pieces={"sofaa": {"designs": "sofa_track"}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (with_sofa(designs=["sofa_of_dreams"]), "'sofa_of_dreams' is not in the furniture library; there are .*sofa"),
        (with_sofa(finishes={"legs": "gold"}), "'gold' is not in finishes; there are cloth, wood"),
        (with_sofa(finishes={"wings": "wood"}), "'wings' is not in its designs' roles"),
        (
            {"finishes": {**PLAIN["finishes"], "x": {"surface": "moss", "colour": "white"}}},
            "'moss' is not in the surfaces",
        ),
        ({"finishes": {**PLAIN["finishes"], "x": {"surface": "wood", "colour": "red"}}}, "'red' is not in the palette"),
        ({"palette": {"white": "white", "brown": "#806040"}}, "palette.white"),
        ({"defaults": {"upholstery": "cloth"}}, "no finish for legs, top"),
        ({"pieces": {}}, "sofa: no designs given"),
        ({"rooms": {"stable": PLAIN["rooms"]["living_room"]}}, "rooms.stable"),
        (with_sofa(size=[2.0, 0.8, -1.0]), "pieces.sofa.size"),
        (with_sofa(size=[20.0, 0.8, 0.9]), "sofa_track.*20"),
    ],
)
def test_what_a_kit_gets_wrong_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadKit, match=message) as refused:
        read(**changes)
    assert str(refused.value).startswith("plain.yaml: ")


@pytest.mark.parametrize("text", [b"id: [", b"just words", b"", b"a: 1\n" * 100_000, b"\xff\xfe\x00"])
def test_files_that_are_no_kit_are_refused(text: bytes) -> None:
    with pytest.raises(BadKit, match=r"^plain\.yaml: "):
        read_kit("plain.yaml", text, library(), SURFACES)


def test_a_kit_is_added_by_adding_a_file(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(yaml.safe_dump(PLAIN))
    kits = load_kits(tmp_path)
    assert set(kits) == {*KIT_IDS, "plain"}
    assert "plain" not in load_kits()


def test_two_files_with_one_id_are_refused(tmp_path: Path) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(yaml.safe_dump(PLAIN))
    with pytest.raises(BadKit, match=r"two\.yaml: id: one\.yaml has the id 'plain' already"):
        load_kits(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadKit, match="nowhere is no folder"):
        load_kits(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["mid-century", "Mid Century", " mid_century "])
def test_people_may_spell_a_kit_their_way(name: str) -> None:
    assert find_kit(name, load_kits()).id == "mid_century"


def test_an_unknown_kit_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadKit, match="'baroque'; there are coastal, farmhouse"):
        find_kit("baroque", load_kits())


def test_rooms_without_furniture_of_their_own_get_a_kindred_rooms() -> None:
    assert furnishing_of(RoomType.PRIMARY_BEDROOM) is Furnishing.BEDROOM
    assert furnishing_of(RoomType.UNKNOWN) is Furnishing.LIVING_ROOM
    with pytest.raises(BadKit, match="no design kit furnishes a kitchen"):
        furnishing_of(RoomType.KITCHEN)


def test_a_room_may_differ_from_the_kit_in_one_thing() -> None:
    rooms = {"living_room": {**PLAIN["rooms"]["living_room"], "pieces": {"sofa": {"finishes": {"legs": "cloth"}}}}}
    choice = read(rooms=rooms).choice(Furnishing.LIVING_ROOM, Slot.SOFA)
    assert tuple(choice.designs or ()) == ("sofa_track", "sofa_rounded")
    assert choice.finishes == {"legs": ("cloth",)}


def test_a_seed_always_chooses_the_same_look_and_seeds_differ() -> None:
    kit = load_kits()["scandinavian"]
    looks = [choose_look(kit, Furnishing.LIVING_ROOM, Slot.SOFA, seed, library()) for seed in range(8)]
    again = [choose_look(kit, Furnishing.LIVING_ROOM, Slot.SOFA, seed, library()) for seed in range(8)]
    assert looks == again
    assert len({look.design.name for look in looks}) > 1


def test_woods_of_one_chair_match() -> None:
    kit = load_kits()["japandi"]
    for seed in range(8):
        chair = choose_look(kit, Furnishing.DINING_ROOM, Slot.CHAIR, seed, library())
        if chair.design.name == "chair_spindle":
            assert chair.finishes["frame"] == chair.finishes["seat"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 1500, "nested too deeply"),
        ("a: &x [1]\nb: *x\n", "uses a YAML alias"),
        ("id: [", "not valid YAML"),
    ],
)
def test_yaml_that_could_cost_minutes_or_is_none_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(BadKit, match=rf"odd\.yaml: {reason}"):
        load_kits(tmp_path)


def test_a_folder_named_like_a_kit_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "loft.yaml").mkdir()
    with pytest.raises(BadKit, match=r"loft\.yaml: a design kit is a file"):
        load_kits(tmp_path)
