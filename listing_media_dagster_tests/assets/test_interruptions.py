"""What is left of a listing when something goes wrong halfway: nothing lost, nothing stale, no claim too many."""

import pytest

from listing_media_dagster_tests.helpers.pipeline import Pipeline, failure_of, write_rooms

MANIFEST = "listings/house-1/raw_photos/manifest.json"


@pytest.fixture
def pipeline(tmp_path):
    return Pipeline(str(tmp_path / "media"))


def names(pipeline):
    return [photo.sources[0].name for photo in pipeline.photo_set("raw_photos").photos]


def test_a_folder_of_unusable_files_does_not_cost_the_photos_taken_in_before(pipeline, tmp_path):
    assert pipeline.run("raw_photos", source=write_rooms(tmp_path / "drop", ["kitchen.jpg"])).success
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "letter.jpg").write_text("dear photographer")
    assert not pipeline.run("raw_photos", source=tmp_path / "bad").success
    assert names(pipeline) == ["kitchen.jpg"]
    statuses = {file["file"]: file["status"] for file in pipeline.report()["files"]}
    assert statuses == {"kitchen.jpg": "accepted", "letter.jpg": "rejected"}


def test_a_drop_that_has_been_put_away_is_not_missed(pipeline, tmp_path):
    assert pipeline.run("raw_photos", source=write_rooms(tmp_path / "drop", ["kitchen.jpg"])).success
    assert pipeline.store.list_folders("inbox/") == []
    assert pipeline.run("raw_photos").success
    assert names(pipeline) == ["kitchen.jpg"]


def test_an_unreadable_manifest_does_not_make_a_small_drop_the_whole_listing(pipeline, tmp_path):
    whole = write_rooms(tmp_path / "drop", ["kitchen.jpg", "bath.jpg"])
    assert pipeline.run("raw_photos", source=whole).success
    pipeline.store.write(MANIFEST, b'{"of": "another version"}')
    pipeline.store.write("inbox/house-1/bath.jpg", whole / "bath.jpg")
    result = pipeline.run("raw_photos")
    assert not result.success
    assert f"{MANIFEST} can't be read" in failure_of(result)
    assert pipeline.run("raw_photos", source=whole).success
    assert names(pipeline) == ["bath.jpg", "kitchen.jpg"]


def test_what_a_run_that_died_left_in_a_stage_is_removed_by_the_next_but_originals_never(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    original, stray = "listings/house-1/raw_photos/older.jpg", "listings/house-1/preprocessed_photos/of-a-dead-run.jpg"
    pipeline.store.write(original, b"an original")
    pipeline.store.write(stray, b"half a stage")
    assert pipeline.run("raw_photos", "preprocessed_photos", source=drop).success
    assert not pipeline.store.exists(stray)
    assert pipeline.store.exists(original)
    assert pipeline.photo_set("preprocessed_photos").photos, "what the manifest claims is still there"


def test_a_listing_with_every_photo_excluded_says_so_before_any_work(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    (drop / "listing.yaml").write_text("exclude: [kitchen.jpg]\n")
    result = pipeline.run("raw_photos", "preprocessed_photos", source=drop)
    assert "listing.yaml excludes all 1 photos" in failure_of(result)
