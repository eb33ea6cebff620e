from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.listing import OperationName
from listing_media_dagster.photo import privacy
from listing_media_dagster.photo.privacy import PrivacyDetectors, PrivateRegion, blur_private_regions, load_detectors
from listing_media_dagster_tests.photo.drawn_rooms import draw_room

Image = NDArray[np.uint8]
DATA = Path(__file__).parents[3] / "shared" / "data"
PORTRAIT = DATA / "bad_input" / "066_hopper_16bit_qtables.jpg"
needs_portrait = pytest.mark.skipif(not PORTRAIT.exists(), reason="the portrait of shared/data is not here")


@pytest.fixture(scope="module")
def detectors() -> PrivacyDetectors:
    return load_detectors()


class MarkedRegion:
    """A detector that knows where to look: it stands for any plate detector."""

    weights_sha256 = hashlib.sha256(b"none").hexdigest()

    def find(self, rgb: Image) -> list[PrivateRegion]:
        return [PrivateRegion("plate", (300, 200, 120, 60), 1.0)]


def _with_portrait(room: Image, px: int, x: int, y: int) -> Image:
    portrait = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
    result = room.copy()
    result[y : y + px, x : x + px] = cv2.resize(portrait, (px, px), interpolation=cv2.INTER_AREA)
    return result


@needs_portrait
@pytest.mark.parametrize("px", [64, 400])
def test_face_in_a_room_is_found_and_unrecognisable(detectors: PrivacyDetectors, px: int) -> None:
    room = _with_portrait(draw_room(), px, 420, 260)
    result = blur_private_regions(room, detectors)
    assert [region.kind for region in result.regions] == ["face"]
    (operation,) = result.operations
    assert operation.name is OperationName.PRIVACY_BLUR
    assert operation.weights_sha256 == privacy.FACE_WEIGHTS_SHA256
    x, y, w, h = result.regions[0].box
    assert 420 < x + w / 2 < 420 + px and 260 < y + h / 2 < 260 + px
    assert blur_private_regions(result.rgb, detectors).regions == ()


@needs_portrait
def test_only_the_region_in_the_ledger_changes(detectors: PrivacyDetectors) -> None:
    room = _with_portrait(draw_room(), 200, 420, 260)
    before = room.copy()
    result = blur_private_regions(room, detectors)
    assert np.array_equal(room, before), "the input is never written to"
    assert result.operations[0].region is not None
    outside = np.ones(room.shape[:2], bool)
    for x, y, w, h in result.operations[0].region:
        outside[y : y + h, x : x + w] = False
    assert np.array_equal(result.rgb[outside], room[outside])
    assert not np.array_equal(result.rgb, room)


def test_room_without_people_is_left_alone(detectors: PrivacyDetectors) -> None:
    room = draw_room(yaw=15)
    result = blur_private_regions(room, detectors)
    assert result.rgb is room and result.operations == () and result.regions == ()


def test_blur_leaves_no_fine_detail() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (500, 800, 3), np.uint8)
    result = blur_private_regions(noise, PrivacyDetectors(plates=MarkedRegion())).rgb
    inside = result[205:255, 310:410].astype(float)
    assert inside.std() < 0.2 * noise.std()
    assert np.abs(np.diff(inside, axis=1)).max() < 8


def test_face_at_the_border_is_blurred_without_error() -> None:
    class AtBorder(MarkedRegion):
        def find(self, rgb: Image) -> list[PrivateRegion]:
            return [PrivateRegion("plate", (-20, -10, 80, 60), 1.0), PrivateRegion("plate", (760, 470, 80, 60), 1.0)]

    noise = np.random.default_rng(0).integers(0, 255, (500, 800, 3), np.uint8)
    result = blur_private_regions(noise, PrivacyDetectors(plates=AtBorder()))
    assert result.operations[0].region is not None
    for x, y, w, h in result.operations[0].region:
        assert x >= 0 and y >= 0 and x + w <= 800 and y + h <= 500


def test_what_cannot_be_found_is_said(detectors: PrivacyDetectors) -> None:
    assert detectors.missing == ("plates",)
    assert PrivacyDetectors(detectors.faces, MarkedRegion()).missing == ()
    assert PrivacyDetectors().missing == ("faces", "plates")


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "weights.onnx"
    damaged.write_bytes(privacy.FACE_WEIGHTS.read_bytes()[:-1])
    monkeypatch.setattr(privacy, "FACE_WEIGHTS", damaged)
    with pytest.raises(ValueError, match="damaged"):
        load_detectors()


@pytest.mark.skipif(not DATA.exists(), reason="the rooms of shared/data are not here")
def test_no_blur_in_real_empty_rooms(detectors: PrivacyDetectors) -> None:
    rooms = sorted((DATA / "empty_rooms").iterdir())
    assert rooms
    for path in rooms:
        rgb = np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), np.uint8)
        assert blur_private_regions(rgb, detectors).regions == (), path.name
