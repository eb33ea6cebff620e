"""preprocessed_photos: bracket sets become one picture, camera metadata goes, what is known of the photo stays."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from listing_media_dagster_tests.helpers.pipeline import Pipeline, draw_room

STAGES = ("raw_photos", "preprocessed_photos")


def write_frame(path, rgb, *, seconds, at="2026:05:04 10:11:12", serial="SN-12345"):
    """Write a JPEG with the metadata a camera writes: exposure, time, position, serial number."""
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Model] = "Sample", "Camera"
    camera = exif.get_ifd(IFD.Exif)
    camera[Base.ExposureTime], camera[Base.FNumber], camera[Base.ISOSpeedRatings] = seconds, 8.0, 100
    camera[Base.DateTimeOriginal], camera[Base.BodySerialNumber] = at, serial
    position = exif.get_ifd(IFD.GPSInfo)
    position[1], position[2] = "N", (48.0, 8.0, 0.0)
    position[3], position[4] = "E", (11.0, 34.0, 0.0)
    Image.fromarray(rgb).save(path, quality=95, exif=exif)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A bracket set of three exposures of one room, and one single frame of another."""
    folder = tmp_path_factory.mktemp("brackets")
    drop = folder / "drop"
    drop.mkdir()
    scene = (draw_room(5).astype(np.float32) / 255) ** 2.2
    for name, ev in (("A1.jpg", -2), ("A2.jpg", 0), ("A3.jpg", 2)):
        frame = np.clip(scene * 2.0**ev, 0, 1) ** (1 / 2.2)
        write_frame(drop / name, (frame * 255).astype(np.uint8), seconds=0.02 * 2.0**ev)
    write_frame(drop / "kitchen.jpg", draw_room(77), seconds=0.02, at="2026:05:04 10:20:00")
    pipeline = Pipeline(str(folder / "media"))
    assert pipeline.run(*STAGES, source=drop).success
    return pipeline


def test_three_exposures_become_one_picture_named_after_the_middle_one(prepared):
    photos = prepared.photo_set("preprocessed_photos").photos
    assert [[source.name for source in photo.sources] for photo in photos] == [
        ["A1.jpg", "A2.jpg", "A3.jpg"],
        ["kitchen.jpg"],
    ]
    merged, single = photos
    assert merged.photo_id.startswith("a2-")
    assert "bracket_merge" in {operation.name for operation in merged.operations}
    assert "bracket_merge" not in {operation.name for operation in single.operations}


def test_every_frame_of_a_set_is_reported_with_the_photo_it_became(prepared):
    merged, single = prepared.photo_set("preprocessed_photos").photos
    became = {file["file"]: file["photo_id"] for file in prepared.report()["files"]}
    assert became == dict.fromkeys(("A1.jpg", "A2.jpg", "A3.jpg"), merged.photo_id) | {"kitchen.jpg": single.photo_id}


def test_position_serial_number_and_camera_leave_the_picture_but_the_capture_time_is_kept(prepared):
    for photo in prepared.photo_set("preprocessed_photos").photos:
        for key in (photo.image.key, photo.attachments["before"].key):
            encoded = prepared.store.read(key)
            assert not Image.open(io.BytesIO(encoded)).getexif()
            assert b"SN-12345" not in encoded
        assert photo.captured_at is not None
        assert photo.captured_at.year == 2026
