"""The embedded back end as a whole: from a photo to a staged room, its files and its refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.listing import OperationName, Room, RoomType
from listing_media_dagster.staging import rendered
from listing_media_dagster.staging.arrangement import Arrangement
from listing_media_dagster.staging.back_ends import CannotStage, StagedRoom, StagingRequest
from listing_media_dagster.staging.furniture.designs import library
from listing_media_dagster.staging.kits import load_kits
from listing_media_dagster.staging.rendered import FurnishableRoom, RenderedStaging

ROOM = Path(__file__).parent / "rendered_rooms" / "sunless.jpg"
BACK_END = RenderedStaging(load_kits(), library())


def silent(what: str) -> None:
    """Progress that nobody watches."""


def request(**changes: object) -> StagingRequest:
    base = cv2.imread(str(ROOM), cv2.IMREAD_COLOR_RGB)
    assert base is not None
    whole = StagingRequest("sunless", np.asarray(base, np.uint8), Room(), "japandi", pieces_seed=5)
    return replace(whole, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def surveyed() -> FurnishableRoom:
    return BACK_END.survey(request())


@pytest.fixture(scope="module")
def staged(surveyed: FurnishableRoom) -> StagedRoom:
    return surveyed.furnish(0, silent)


def decoded(data: bytes) -> NDArray[np.generic]:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture)


def test_what_is_outside_the_mask_is_the_photo_bit_for_bit(staged: StagedRoom) -> None:
    base, mask = request().base, decoded(staged.attachments["mask.png"]) > 0
    assert np.array_equal(staged.rgb[~mask], base[~mask])
    assert mask.mean() > 0.05
    assert staged.rejection is None


def test_a_room_of_unknown_type_is_furnished_as_a_living_room_and_says_so(staged: StagedRoom) -> None:
    assert staged.room_type == RoomType.LIVING_ROOM
    assert "living room with a sofa" in staged.caption
    assert "unknown furnished as living_room" in json.loads(staged.attachments["layout.json"])["notes"]


def test_the_ledger_names_kit_pieces_seed_and_region(staged: StagedRoom) -> None:
    (operation,) = staged.operations
    assert operation.name == OperationName.VIRTUAL_STAGING
    assert operation.parameters["kit"] == "japandi"
    assert "sofa" in operation.parameters["pieces"]
    assert operation.seed == 0 and operation.region is not None


def test_depth_and_masks_have_the_photos_size(staged: StagedRoom) -> None:
    depth = decoded(staged.attachments["depth.png"])
    assert depth.dtype == np.uint16 and depth.shape == staged.rgb.shape[:2]
    floor, far = depth[-5, depth.shape[1] // 2], np.median(depth[depth.shape[0] // 2])
    assert 500 < floor < far < 20_000  # mm
    assert decoded(staged.attachments["furniture.png"]).shape == staged.rgb.shape[:2]
    assert decoded(staged.attachments["geometry.jpg"]).ndim == 3


def test_a_layout_read_from_its_json_gives_the_same_bytes(surveyed: FurnishableRoom, staged: StagedRoom) -> None:
    arrangement = Arrangement.model_validate_json(staged.attachments["layout.json"])
    assert np.array_equal(BACK_END.survey(request()).render(arrangement, silent).rgb, staged.rgb)


def test_views_of_one_room_get_the_same_pieces_whatever_the_layout(surveyed: FurnishableRoom) -> None:
    def looks(seed: int) -> dict[str, tuple[str, object]]:
        room, kit = surveyed.request.room.type, surveyed.kit
        placed = rendered.arrange(surveyed.geometry, kit, room, seed, 5, surveyed.designs).pieces
        return {piece.name: (piece.design, piece.finishes) for piece in placed}

    first, second = looks(0), looks(1)
    assert {name: first[name] for name in first.keys() & second.keys()} == {
        name: second[name] for name in first.keys() & second.keys()
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kit": "rococo"}, "there is no design kit 'rococo'; there are coastal"),
        ({"room": Room(type=RoomType.BATHROOM)}, "no design kit furnishes a bathroom"),
        ({"base": np.full((300, 400, 3), 128, np.uint8)}, "the room's shape can't be told"),
    ],
)
def test_what_cannot_be_staged_is_refused_with_the_reason(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(CannotStage, match=reason):
        BACK_END.survey(request(**changes))


def test_an_uncertain_geometry_is_refused_with_a_picture_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendered, "LEAST_CONFIDENCE", 1.01)
    with pytest.raises(CannotStage, match="the room's shape is uncertain") as refused:
        BACK_END.survey(request())
    assert decoded(refused.value.attachments["geometry.jpg"]).ndim == 3


def test_a_room_without_free_floor_is_refused(surveyed: FurnishableRoom) -> None:
    bare = replace(surveyed.geometry, floor=np.zeros_like(surveyed.geometry.floor))
    with pytest.raises(CannotStage, match="m² of free floor"):
        replace(surveyed, geometry=bare).furnish(0, silent)


def test_another_kit_is_another_version_and_the_same_kit_the_same() -> None:
    assert BACK_END.version_for("japandi") == RenderedStaging(load_kits(), library()).version_for("japandi")
    assert BACK_END.version_for("japandi") != BACK_END.version_for("coastal")
    assert BACK_END.version_for("japandi") != replace(BACK_END, own_furniture="changed").version_for("japandi")
