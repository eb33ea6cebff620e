"""Which room a photo shows, and who may say so."""

from types import SimpleNamespace

import pytest

from listing_media_dagster.assets import rooms
from listing_media_dagster.listing import Room, RoomType
from listing_media_dagster_tests.helpers.pipeline import Pipeline, write_rooms

STAGES = ("raw_photos", "preprocessed_photos")


class SaysKitchen:
    """A scorer that knows one room and counts what it is asked."""

    def __init__(self, weights="ab" * 32, sure=True):
        self.identity = SimpleNamespace(weights_sha256=weights)
        self.answer = Room(type=RoomType.KITCHEN, confidence=0.97, decided_by="CLIP") if sure else Room()
        self.asked = 0

    def classify_room(self, images):
        self.asked += len(images)
        return [self.answer for _ in images]


@pytest.fixture
def pipeline(tmp_path):
    return Pipeline(str(tmp_path / "media"))


def rooms_of(pipeline):
    return {photo.sources[0].name: photo.room for photo in pipeline.photo_set("preprocessed_photos").photos}


def test_listing_yaml_wins_over_the_file_name_and_the_file_name_over_clip(pipeline, tmp_path, monkeypatch):
    monkeypatch.setattr(rooms, "load_scorer", SaysKitchen)
    drop = write_rooms(tmp_path / "drop", ["bedroom.jpg", "bath.jpg", "IMG_7.jpg"])
    (drop / "listing.yaml").write_text("rooms: {bedroom.jpg: home_office}\n")
    assert pipeline.run(*STAGES, source=drop).success
    decided = {name: (room.type.value, room.decided_by) for name, room in rooms_of(pipeline).items()}
    assert decided == {
        "bedroom.jpg": ("home_office", "listing.yaml"),
        "bath.jpg": ("bathroom", "file name"),
        "IMG_7.jpg": ("kitchen", "CLIP"),
    }


@pytest.mark.parametrize("sure", [True, False])
def test_clip_is_asked_once_about_a_picture_whether_it_knew_or_not(pipeline, tmp_path, monkeypatch, sure):
    scorer = SaysKitchen(sure=sure)
    monkeypatch.setattr(rooms, "load_scorer", lambda: scorer)
    drop = write_rooms(tmp_path / "drop", ["IMG_7.jpg"])
    for _ in range(2):
        assert pipeline.run(*STAGES, source=drop).success
    assert scorer.asked == 1
    other = SaysKitchen(weights="cd" * 32)
    monkeypatch.setattr(rooms, "load_scorer", lambda: other)
    assert pipeline.run(*STAGES, source=drop).success
    assert other.asked == 1


def test_without_anybody_to_say_so_a_room_is_unknown(pipeline, tmp_path):
    assert pipeline.run(*STAGES, source=write_rooms(tmp_path / "drop", ["IMG_7.jpg"])).success
    assert rooms_of(pipeline)["IMG_7.jpg"] == Room()
