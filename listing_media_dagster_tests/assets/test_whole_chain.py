"""From a folder of photos to a package, and what a second run costs."""

import io
import zipfile

import av
import jsonschema
import pytest

from listing_media_dagster.listing import ASSETS
from listing_media_dagster.store.report import report_schema
from listing_media_dagster_tests.helpers.pipeline import Pipeline, failure_of, write_rooms


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    """A listing of two photos, run through everything once; tests only read it."""
    folder = tmp_path_factory.mktemp("chain")
    drop = write_rooms(folder / "drop", ["front.jpg", "kitchen.jpg"])
    (drop / "listing.yaml").write_text("address: 12 Sample Street\n")
    pipeline = Pipeline(str(folder / "media"))
    result = pipeline.run(source=drop)
    assert result.success, failure_of(result)
    return pipeline, result


def test_every_stage_leaves_a_manifest_and_its_time(delivered):
    pipeline, _ = delivered
    assert tuple(pipeline.report()["stages"]) == ASSETS
    assert all(stage["seconds"] >= 0 and stage["run_id"] for stage in pipeline.report()["stages"].values())


def test_the_film_is_full_hd_with_sound_and_as_long_as_it_says(delivered):
    pipeline, _ = delivered
    film = next(file for file in pipeline.photo_set("tour_video").deliverables if file.name == "tour.mp4")
    with av.open(io.BytesIO(pipeline.store.read(film.key))) as opened:
        video, audio = opened.streams.video[0], opened.streams.audio[0]
        assert (video.width, video.height, video.average_rate) == (1920, 1080, 30)
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        (stated,) = [
            event.materialization.metadata["film_seconds"].value
            for event in delivered[1].get_asset_materialization_events()
            if event.asset_key.path[-1] == "tour_video"
        ]
        assert float(video.duration * video.time_base) == pytest.approx(stated, abs=0.05)
        assert stated > 2 * 2.5  # two photos and a title


def test_the_report_of_a_whole_listing_is_what_its_schema_says(delivered):
    pipeline, _ = delivered
    jsonschema.validate(pipeline.report(), report_schema())
    assert {photo["photo_id"] for photo in pipeline.report()["photos"]} == {
        file["photo_id"] for file in pipeline.report()["files"]
    }


def test_the_archive_holds_the_whole_gallery(delivered):
    pipeline, _ = delivered
    files = {file.name: file for file in pipeline.photo_set("listing_package").deliverables}
    archive = zipfile.ZipFile(io.BytesIO(pipeline.store.read(files["house-1.zip"].key)))
    assert archive.testzip() is None
    inside = {name.removeprefix("house-1/") for name in archive.namelist()}
    assert inside == set(files) - {"house-1.zip"}
    assert {"index.html", "video/tour.mp4", "photos/mls/01-front-exterior-house-1.jpg"} <= inside


def test_ops_see_pictures_tables_and_links_in_the_ui(delivered):
    _, result = delivered
    shown = {
        event.asset_key.path[-1]: event.materialization.metadata for event in result.get_asset_materialization_events()
    }
    assert "![raw_photos]" not in str(shown["raw_photos"])  # originals may be any size: no contact sheet of them
    for asset in ("preprocessed_photos", "enhanced_photos", "staged_photos", "tour_video", "listing_package"):
        assert shown[asset]["contact_sheet"].value.startswith(f"![{asset}](http://127.0.0.1:3001/")
    assert shown["enhanced_photos"]["photo_table"].records[0].data["room"].startswith("exterior_front (file name")
    assert shown["listing_package"]["open gallery"].url.endswith("/listing_package/index.html")


def test_every_checks_verdict_is_the_listings_own(delivered):
    _, result = delivered
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert set(checks) == {"every_file_is_a_photo", "private_details_are_blurred", "whites_agree", "clip_threshold"}
    assert {check.partition for check in checks.values()} == {"house-1"}


def test_without_weights_nothing_is_scored_and_the_run_says_how_to_get_them(delivered):
    pipeline, result = delivered
    (check,) = [check for check in result.get_asset_check_evaluations() if check.check_name == "clip_threshold"]
    assert not check.passed
    assert "listing-media models pull clip-vit-b32" in check.description
    assert {verdict["outcome"] for photo in pipeline.report()["photos"] for verdict in photo["verdicts"]} == {
        "not_scored"
    }


@pytest.fixture(scope="module")
def one_more(tmp_path_factory):
    """A listing run, run again unchanged, then with one photo more: the work each of the last two did."""
    folder = tmp_path_factory.mktemp("again")
    drop = write_rooms(folder / "drop", ["front.jpg", "kitchen.jpg", "bath.jpg"])
    pipeline = Pipeline(str(folder / "media"))
    assert pipeline.run(source=drop).success
    assert pipeline.run(source=drop).success
    unchanged = {name: (stage["computed"], stage["reused"]) for name, stage in pipeline.report()["stages"].items()}
    before = {photo["photo_id"]: photo["images"] for photo in pipeline.report()["photos"]}
    write_rooms(drop, ["bedroom.jpg"])
    assert pipeline.run(source=drop).success
    return pipeline, unchanged, before


def test_an_unchanged_listing_is_not_made_again(one_more):
    _, unchanged, _ = one_more
    assert {name: made for name, (made, _) in unchanged.items()} == dict.fromkeys(ASSETS, 0)


def test_one_photo_more_costs_one_photo(one_more):
    pipeline, _, before = one_more
    stages = pipeline.report()["stages"]
    for asset in ("raw_photos", "preprocessed_photos", "enhanced_photos", "staged_photos"):
        assert (stages[asset]["computed"], stages[asset]["reused"]) == (1, 3)
    # bedroom comes between kitchen and bathroom: the halves of its own shot, two dissolves, and where a neighbour's
    # move changed, the same but for the dissolve that is new anyway
    assert stages["tour_video"]["computed"] <= 7
    after = {photo["photo_id"]: photo["images"] for photo in pipeline.report()["photos"]}
    assert {photo_id: images for photo_id, images in after.items() if photo_id in before} == before


def test_a_package_made_again_leaves_no_file_of_the_old_order_behind(one_more):
    pipeline, _, _ = one_more
    package = pipeline.photo_set("listing_package")
    claimed = {file.key for file in (*package.deliverables, *package.companions.values())}
    claimed |= {"listings/house-1/listing_package/manifest.json"}
    assert {found.key for found in pipeline.store.list("listings/house-1/listing_package/")} == claimed


def test_a_picture_that_changed_in_the_store_stops_what_builds_on_it_and_names_the_remedy(tmp_path):
    pipeline = Pipeline(str(tmp_path / "media"))
    assert pipeline.run("raw_photos", "preprocessed_photos", source=write_rooms(tmp_path / "d", ["a.jpg"])).success
    (photo,) = pipeline.photo_set("preprocessed_photos").photos
    pipeline.store.write(photo.image.key, b"something else")
    failure = failure_of(pipeline.run("enhanced_photos"))
    assert photo.image.key in failure
    assert "materialize preprocessed_photos for partition house-1 again" in failure
    assert pipeline.run("preprocessed_photos").success
    assert pipeline.run("enhanced_photos").success


def test_a_run_in_the_launchpad_overrides_listing_yaml(tmp_path):
    drop = write_rooms(tmp_path / "d", ["kitchen.jpg"])
    (drop / "listing.yaml").write_text("strength: 1.0\nstyle: modern\n")
    pipeline = Pipeline(str(tmp_path / "media"))
    config = {"enhanced_photos": {"strength": 0.0}, "staged_photos": {"style": "japandi", "exclude": ["kitchen.jpg"]}}
    stages = ("raw_photos", "preprocessed_photos", "enhanced_photos", "staged_photos")
    assert pipeline.run(*stages, source=drop, config=config).success
    (photo,) = pipeline.photo_set("enhanced_photos").photos
    assert not {"white_balance", "exposure"} & {operation.name for operation in photo.operations}
    staged = pipeline.photo_set("staged_photos")
    assert staged.listing.style == "japandi"
    assert staged.photos[0].facts["not_staged"] == "excluded by the listing"


def test_an_unknown_output_is_refused_with_the_known_ones(tmp_path):
    pipeline = Pipeline(str(tmp_path / "media"))
    result = pipeline.run(
        source=write_rooms(tmp_path / "d", ["a.jpg"]), config={"listing_package": {"outputs": ["huge"]}}
    )
    assert "huge" in failure_of(result)
    assert "mls" in failure_of(result)
