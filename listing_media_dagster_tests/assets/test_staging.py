"""One empty room through the real back end: what is stored, shown, reused and delivered."""

import json
import shutil
from pathlib import Path

import pytest

from listing_media_dagster.assets import furnishing
from listing_media_dagster.settings import Settings
from listing_media_dagster_tests.helpers.pipeline import Pipeline, failure_of

ROOM = Path(__file__).parents[1] / "staging" / "rendered_rooms" / "sunless.jpg"


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A listing with one empty room, taken as far as staging, and the run's result."""
    folder = tmp_path_factory.mktemp("staged")
    (folder / "drop").mkdir()
    shutil.copy(ROOM, folder / "drop" / "living-room.jpg")
    (folder / "drop" / "listing.yaml").write_text("style: Mid-Century\nstage: {include: [living-room.jpg]}\n")
    pipeline = Pipeline(str(folder / "media"))
    stages = ("raw_photos", "preprocessed_photos", "enhanced_photos", "staged_photos")
    result = pipeline.run(*stages, source=folder / "drop")
    assert result.success, failure_of(result)
    return pipeline, result


def test_base_and_staged_room_lie_side_by_side_with_depth_mask_and_layout(staged):
    pipeline, _ = staged
    (photo,) = pipeline.photo_set("staged_photos").photos
    (base,) = pipeline.photo_set("enhanced_photos").photos
    assert photo.base == base.image and photo.image != base.image
    assert (photo.image.width, photo.image.height) == (base.image.width, base.image.height)
    wanted = {"layout.json", "depth.png", "mask.png", "furniture.png", "geometry.jpg", "before_after.jpg"}
    assert wanted <= set(photo.attachments)
    layout = json.loads(pipeline.store.read(photo.attachments["layout.json"].key))
    assert layout["kit"] == "mid_century" and layout["pieces"]


def test_the_ui_shows_before_and_after_and_what_was_done(staged):
    _, result = staged
    (shown,) = [made.metadata for made in result.asset_materializations_for_node("staged_photos")]
    assert "before_after.jpg" in shown["before_and_after"].value
    (row,) = shown["photo_table"].records
    assert row.data["staged as"].startswith("living room, mid century, seed ")
    assert "structure: passed" in row.data["verdict"]


def test_the_report_and_the_ui_say_where_it_was_staged(staged):
    pipeline, result = staged
    (photo,) = pipeline.report()["photos"]
    assert (photo["route"], photo["device"]) == ("cpu", "cpu")
    (shown,) = [made.metadata for made in result.asset_materializations_for_node("staged_photos")]
    assert shown["route"].value == "cpu" and shown["run_seconds"].value > 0
    assert shown["routes_that_refused"].value == "cuda: nothing in it runs on a GPU"


def test_the_verdict_keeps_the_numbers_it_rests_on(staged):
    pipeline, _ = staged
    (photo,) = pipeline.photo_set("staged_photos").photos
    (verdict,) = photo.verdicts
    assert verdict.gate == "structure" and verdict.score >= verdict.threshold
    assert {"outside_changed_px", "edge_agreement", "openings_hidden_max"} <= set(verdict.evidence)


def test_an_unchanged_room_is_not_staged_again(staged):
    pipeline, _ = staged
    before = pipeline.photo_set("staged_photos")
    assert pipeline.run("staged_photos").success
    after = pipeline.photo_set("staged_photos")
    assert (after.stage.computed, after.stage.reused) == (0, 1)
    assert after.photos[0].image == before.photos[0].image


def test_a_style_that_a_run_misspells_fails_with_the_kits_there_are(staged):
    pipeline, _ = staged
    result = pipeline.run("staged_photos", config={"staged_photos": {"style": "skandi"}})
    assert "no design kit is called 'skandi'; there are coastal" in failure_of(result)
    assert pipeline.photo_set("staged_photos").photos[0].is_altered


def test_a_broken_piece_of_own_furniture_fails_the_stage_with_its_file(staged, tmp_path, monkeypatch):
    (tmp_path / "chair.yaml").write_text("name: my-chair\nfile: chair.glb\nkind: chair\nheight: 0.8\n")
    (tmp_path / "chair.glb").write_bytes(b"no model")
    monkeypatch.setattr(furnishing, "settings", lambda: Settings(furniture=tmp_path))
    assert "chair.glb" in failure_of(staged[0].run("staged_photos"))
