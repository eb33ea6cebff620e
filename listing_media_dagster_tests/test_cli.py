"""listing-media on the command line, as a person types it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from listing_media_dagster_tests.helpers.pipeline import write_rooms

EMPTY_ROOM = Path(__file__).parent / "staging" / "rendered_rooms" / "sunless.jpg"


@pytest.fixture
def listing_media(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LISTING_MEDIA_")}
    environment |= {"DAGSTER_HOME": str(tmp_path), "LISTING_MEDIA_STORE": str(tmp_path / "media"), "COLUMNS": "200"}
    environment["LISTING_MEDIA_STAGE"] = "named"
    environment["HF_HOME"] = environment["LISTING_MEDIA_MODELS_DIR"] = str(tmp_path / "no-models")

    def run(*words, without=None, **variables):
        command = [sys.executable, "-m", "listing_media_dagster.cli", *map(str, words)]
        ours = {name: value for name, value in (environment | variables).items() if name != without}
        return subprocess.run(command, capture_output=True, text=True, env=ours, cwd=tmp_path, timeout=240)

    return run


def test_run_delivers_a_folder_and_prints_the_report_alone_on_request(listing_media, tmp_path):
    drop = write_rooms(tmp_path / "12 Main St.", ["front.jpg"])
    done = listing_media("run", drop, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["listing_id"] == "12-Main-St"
    assert (tmp_path / "media/listings/12-Main-St/listing_package/index.html").exists()
    assert "front.jpg" in [file["file"] for file in report["files"]]
    assert not (tmp_path / ".telemetry").exists() and "telemetry" not in done.stderr, "a home of its own phones nobody"
    seen = listing_media("status")
    assert "12-Main-St" in seen.stdout
    assert "listing_package" in seen.stdout


def test_a_run_that_fails_exits_with_one_and_says_what_was_wrong_with_each_file(listing_media, tmp_path):
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "letter.jpg").write_text("dear photographer")
    done = listing_media("run", tmp_path / "drop", "--listing", "h1")
    assert done.returncode == 1
    assert "raw_photos failed: none of the 1 files" in done.stderr
    assert "rejected letter.jpg" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("listing", ["../up", "a b", "x" * 65])
def test_an_id_that_cannot_name_a_listing_is_refused(listing_media, tmp_path, listing):
    done = listing_media("run", write_rooms(tmp_path / "drop", ["a.jpg"]), "--listing", listing)
    assert done.returncode == 1
    assert "can't be a listing id" in done.stderr


def test_submit_puts_a_drop_into_the_inbox_and_its_marker_last(listing_media, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["a.jpg"])
    (drop / "listing.yaml").write_text("address: x\n")
    assert listing_media("submit", drop, "--listing", "h1").returncode == 0
    inbox = tmp_path / "media/inbox/h1"
    assert {path.name for path in inbox.iterdir()} == {"a.jpg", "listing.yaml", "_READY"}
    assert (inbox / "_READY").stat().st_mtime >= (inbox / "a.jpg").stat().st_mtime


def test_a_folder_without_photos_is_not_submitted(listing_media, tmp_path):
    (tmp_path / "drop").mkdir()
    done = listing_media("submit", tmp_path / "drop", "--listing", "h1")
    assert done.returncode == 1
    assert "holds no photos" in done.stderr
    assert not (tmp_path / "media/inbox/h1").exists()


def test_a_mistake_in_listing_yaml_is_told_before_anything_is_submitted(listing_media, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["a.jpg"])
    (drop / "listing.yaml").write_text("address: x\nstile: modern\n")
    done = listing_media("submit", drop, "--listing", "h1")
    assert done.returncode == 1
    assert "listing.yaml line 2" in done.stderr and "style" in done.stderr
    assert not (tmp_path / "media/inbox/h1").exists()


def test_settings_that_no_run_can_use_are_told_before_any_work(listing_media, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["a.jpg"])
    wrong = {"LISTING_MEDIA_ROUTES": "gpu", "LISTING_MEDIA_MODELS": "staging=dreams"}
    done = listing_media("run", drop, "--listing", "h1", **wrong)
    assert done.returncode == 1
    assert "LISTING_MEDIA_ROUTES names the route 'gpu'; the routes are cuda, cpu" in done.stderr
    assert "LISTING_MEDIA_MODELS: 'staging=dreams': for staging there is auto, none, " in done.stderr
    assert not (tmp_path / "media").exists()


def test_a_style_that_no_kit_has_is_told_before_any_work(listing_media, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["a.jpg"])
    done = listing_media("run", drop, "--listing", "h1", "--style", "rococo")
    assert done.returncode == 1
    assert "no design kit is called 'rococo'; there are coastal" in done.stderr
    assert not (tmp_path / "media").exists()


def test_another_home_in_a_folder_of_the_same_name_does_not_take_the_first_ones_place(listing_media, tmp_path):
    here = write_rooms(tmp_path / "oak" / "photos", ["a.jpg"])
    there = write_rooms(tmp_path / "elm" / "photos", ["b.jpg", "c.jpg"])
    (there / "b.jpg").unlink()
    assert listing_media("run", here).returncode == 0
    made = (tmp_path / "media/listings/photos/report.json").read_bytes()
    done = listing_media("run", there)
    assert done.returncode == 1
    assert "photos is another home already" in done.stderr and "--listing ID" in done.stderr
    assert (tmp_path / "media/listings/photos/report.json").read_bytes() == made
    assert "photos is a listing already: these files are added to it" in listing_media("submit", there).stderr
    assert listing_media("run", there, "--listing", "photos").returncode == 0


def test_links_in_a_folder_are_told_since_they_are_not_followed(listing_media, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["a.jpg"])
    (drop / "b.jpg").symlink_to(drop / "a.jpg")
    done = listing_media("submit", drop, "--listing", "h1")
    assert done.returncode == 0
    assert "links aren't followed, give the files themselves: b.jpg" in done.stderr
    assert not (tmp_path / "media/inbox/h1/b.jpg").exists()


def test_a_port_that_no_machine_has_is_refused_in_a_sentence(listing_media):
    done = listing_media("serve-media", "--port", "99999")
    assert done.returncode == 2
    assert "65535" in done.stderr and "Traceback" not in done.stderr


def test_a_run_whose_output_goes_to_a_file_says_how_far_it_is_and_why_rooms_are_not_staged(listing_media, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["a.jpg", "b.jpg"])
    (drop / "listing.yaml").write_text("stage: {exclude: [b.jpg]}\n")
    done = listing_media("run", drop, "--listing", "h1")
    assert done.returncode == 0, done.stderr
    told = done.stderr.splitlines()
    assert [line for line in told if line.startswith("enhanced_photos")] == ["enhanced_photos 2/2"]
    assert "0 of 2 photos virtually staged" in done.stdout
    assert "not staged, excluded by the listing: b.jpg" in done.stdout
    report = json.loads((tmp_path / "media/listings/h1/report.json").read_text())
    assert {photo["files"][0]: photo["not_staged"] for photo in report["photos"]}["b.jpg"] == "excluded by the listing"


def test_status_of_an_empty_store_names_the_store(listing_media, tmp_path):
    done = listing_media("status")
    assert done.returncode == 0
    assert f"no listing lies in {tmp_path / 'media'} yet" in done.stderr


def test_status_of_an_unknown_listing_says_so(listing_media):
    done = listing_media("status", "nobody")
    assert done.returncode == 1
    assert "there is no listing 'nobody'" in done.stderr


def test_the_demo_takes_photos_of_your_own_and_fetches_nothing_where_it_may_not(listing_media, tmp_path):
    done = listing_media("demo", write_rooms(tmp_path / "my home", ["front.jpg"]), "--no-pull")
    assert done.returncode == 0, done.stderr
    assert "listing_package/index.html" in done.stdout
    assert "MB, once" not in done.stderr  # what a pull begins with


def test_the_demo_knows_the_home_folder_where_no_shell_expanded_it(listing_media, tmp_path):
    done = listing_media("demo", "~/no such photos", "--no-pull", HOME=str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path}/no such photos is no folder" in done.stderr


def test_doctor_says_what_is_missing_and_how_to_get_it(listing_media):
    done = listing_media("doctor")
    assert "listing-media models pull clip-vit-b32" in done.stdout


def test_an_unknown_model_is_answered_with_the_known_ones(listing_media):
    done = listing_media("models", "check", "clip-vit-b99")
    assert done.returncode == 1
    assert "clip-vit-b32" in done.stderr


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("s3:/bucket", "'s3:/bucket' isn't a store: use a folder (./media, file:///path) or s3://bucket/prefix"),
        ("s3://", "'s3://' names no bucket"),
        ("/dev/null/media", "can't write listings/h1/"),
    ],
)
def test_a_store_that_cannot_be_used_is_answered_with_one_line(listing_media, tmp_path, store, said):
    done = listing_media("run", write_rooms(tmp_path / "drop", ["a.jpg"]), "--listing", "h1", "--store", store)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_setting_that_cannot_be_read_is_named(listing_media):
    done = listing_media("status", LISTING_MEDIA_WORKERS="many", LISTING_MEDIA_S3_SECRET_ACCESS_KEY="hunter2")
    assert done.returncode == 1
    assert done.stderr.startswith("LISTING_MEDIA_WORKERS can't be 'many': ")
    assert "hunter2" not in done.stderr + done.stdout


def test_names_that_look_like_markup_are_printed_as_they_are(listing_media, tmp_path):
    drop = write_rooms(tmp_path / "[red]odd[" / "x]", ["[bold]k.jpg"])
    (drop / "[b]").mkdir()
    (drop / "[b]" / "i].txt").write_text("no photo")
    done = listing_media("run", drop, "--listing", "h1")
    assert done.returncode == 0, done.stderr
    assert "rejected [b]/i].txt: " in done.stdout
    assert "[red]odd[/x]" in done.stderr


def test_without_a_place_for_run_records_the_setting_is_named(listing_media, tmp_path):
    (tmp_path / ".dagster").write_text("a file in the way")
    drop = write_rooms(tmp_path / "drop", ["a.jpg"])
    done = listing_media("run", drop, "--listing", "h1", without="DAGSTER_HOME")
    assert done.returncode == 1
    assert "set DAGSTER_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_photo_is_staged_and_its_layout_rendered_again(listing_media, tmp_path):
    shutil.copy(EMPTY_ROOM, tmp_path / "room.jpg")
    first = listing_media("stage", tmp_path / "room.jpg", "--style", "japandi", "--anyway")
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "room-staged"
    assert first.stdout.strip() == str(folder)
    assert {"staged.jpg", "layout.json", "before_after.jpg"} <= {path.name for path in folder.iterdir()}
    again = listing_media(
        "stage", tmp_path / "room.jpg", "--layout", folder / "layout.json", "--out", tmp_path / "again"
    )
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again" / "staged.jpg").read_bytes() == (folder / "staged.jpg").read_bytes()


def test_a_photo_that_cannot_be_staged_says_why_and_exits_with_1(listing_media, tmp_path):
    cv2.imwrite(str(tmp_path / "grey.jpg"), np.full((600, 800, 3), 128, np.uint8))
    (tmp_path / "layout.json").write_text("{}")
    for arguments, reason in [
        ((), "grey.jpg is not staged"),
        (("--style", "rococo"), "no design kit is called 'rococo'"),
        (("--layout", tmp_path / "layout.json"), "layout.json is no layout"),
    ]:
        done = listing_media("stage", tmp_path / "grey.jpg", "--out", tmp_path / "out", *arguments)
        assert done.returncode == 1
        assert reason in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists(), "a refusal without a picture leaves no folder"
