"""raw_photos: what becomes of the files of a drop."""

import hashlib
import json
import unicodedata

import pytest

from listing_media_dagster_tests.helpers.pipeline import LISTING, Pipeline, draw_room, failure_of, write_rooms


@pytest.fixture
def pipeline(tmp_path):
    return Pipeline(str(tmp_path / "media"))


def statuses(pipeline):
    return {file["file"]: file["status"] for file in pipeline.report()["files"]}


def test_one_bad_file_never_stops_a_listing_and_says_why_it_is_out(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg", "bath.png"])
    (drop / "notes.txt").write_text("call the owner")
    (drop / "cut.jpg").write_bytes((drop / "kitchen.jpg").read_bytes()[:4000])
    result = pipeline.run("raw_photos", source=drop)
    assert result.success
    assert statuses(pipeline) == {
        "kitchen.jpg": "accepted",
        "bath.png": "accepted",
        "notes.txt": "rejected",
        "cut.jpg": "rejected",
    }
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert check.partition == LISTING


def test_originals_are_kept_byte_for_byte_under_their_digest_and_the_drop_is_not_touched(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    delivered = (drop / "kitchen.jpg").read_bytes()
    assert pipeline.run("raw_photos", source=drop).success
    (photo,) = pipeline.photo_set("raw_photos").photos
    assert pipeline.store.read(photo.image.key) == delivered == (drop / "kitchen.jpg").read_bytes()
    assert photo.image.sha256 == hashlib.sha256(delivered).hexdigest()


def test_a_drop_without_a_readable_photo_fails_and_reports_every_file(pipeline, tmp_path):
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "a.jpg").write_text("<html>")
    result = pipeline.run("raw_photos", source=tmp_path / "drop")
    assert not result.success
    assert "none of the 1 files" in failure_of(result)
    assert "a.jpg: " in failure_of(result)
    assert statuses(pipeline) == {"a.jpg": "rejected"}


def test_an_empty_drop_says_what_to_put_there(pipeline, tmp_path):
    (tmp_path / "drop").mkdir()
    result = pipeline.run("raw_photos", source=tmp_path / "drop")
    assert "holds no photos: put JPEG" in failure_of(result)


def test_a_folder_that_is_not_there_is_named(pipeline, tmp_path):
    result = pipeline.run("raw_photos", source=tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'} is no folder" in failure_of(result)


def test_a_listing_yaml_with_a_mistake_fails_the_run_naming_its_line(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    (drop / "listing.yaml").write_text("address: x\nstlye: modern\n")
    failure = failure_of(pipeline.run("raw_photos", source=drop))
    assert "listing.yaml line 2: unknown key 'stlye'; did you mean 'style'?" in failure


def test_what_computers_leave_behind_and_links_are_no_files_of_the_drop(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    for name in (".DS_Store", "Thumbs.db", "_READY", "._kitchen.jpg"):
        (drop / name).write_bytes(b"x")
    (drop / "secret.jpg").symlink_to("/etc/hostname")
    assert pipeline.run("raw_photos", source=drop).success
    assert statuses(pipeline) == {"kitchen.jpg": "accepted"}


def test_a_file_whose_name_no_store_can_hold_is_rejected_by_name(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    (drop / "tab\there.jpg").write_bytes((drop / "kitchen.jpg").read_bytes())
    (drop / "caf\udce9.jpg").write_bytes((drop / "kitchen.jpg").read_bytes())
    assert pipeline.run("raw_photos", source=drop).success
    refused = {file["file"]: file["reason"] for file in pipeline.report()["files"] if file["status"] == "rejected"}
    assert set(refused) == {"tab\there.jpg", "caf\\udce9.jpg"}
    assert all("rename it" in reason for reason in refused.values())


def test_the_inbox_adds_to_what_was_delivered_before_and_a_new_upload_replaces_its_namesake(pipeline, tmp_path):
    first = write_rooms(tmp_path / "first", ["kitchen.jpg", "bath.jpg"])
    for path in first.iterdir():
        pipeline.store.write(f"inbox/{LISTING}/{path.name}", path)
    assert pipeline.run("raw_photos").success
    for path in first.iterdir():
        pipeline.store.delete(f"inbox/{LISTING}/{path.name}")
    again = write_rooms(tmp_path / "again", ["x.jpg"])
    pipeline.store.write(f"inbox/{LISTING}/kitchen.jpg", again / "x.jpg")
    assert pipeline.run("raw_photos").success
    photo_set = pipeline.photo_set("raw_photos")
    assert [photo.sources[0].name for photo in photo_set.photos] == ["bath.jpg", "kitchen.jpg"]
    assert photo_set.photo("kitchen-" + _digest(again / "x.jpg")[:8])
    (replaced,) = photo_set.rejected
    assert pipeline.store.read(replaced.key) == (first / "kitchen.jpg").read_bytes()


def test_a_file_known_from_before_is_not_decoded_again(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg", "bath.jpg"])
    assert pipeline.run("raw_photos", source=drop).success
    write_rooms(drop, ["bed.jpg"])
    assert pipeline.run("raw_photos", source=drop).success
    stage = pipeline.photo_set("raw_photos").stage
    assert (stage.computed, stage.reused) == (1, 2)


def test_files_beyond_the_limit_are_rejected_with_the_setting_to_change(pipeline, tmp_path, monkeypatch):
    from listing_media_dagster.settings import settings

    monkeypatch.setenv("LISTING_MEDIA_MAX_FILES", "1")
    settings.cache_clear()
    try:
        assert pipeline.run("raw_photos", source=write_rooms(tmp_path / "drop", ["a.jpg", "b.jpg"])).success
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    (refused,) = [file for file in pipeline.report()["files"] if file["status"] == "rejected"]
    assert "LISTING_MEDIA_MAX_FILES" in refused["reason"]


def test_the_same_file_twice_is_flagged_and_becomes_one_picture(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    (drop / "kitchen copy.jpg").write_bytes((drop / "kitchen.jpg").read_bytes())
    assert pipeline.run("raw_photos", "preprocessed_photos", source=drop).success
    flagged = [file for file in pipeline.report()["files"] if file["status"] == "flagged"]
    assert len(flagged) == 1
    assert "the same file as" in flagged[0]["reason"]
    assert len(pipeline.photo_set("preprocessed_photos").photos) == 1


def test_the_same_file_in_another_folder_or_with_another_ending_is_still_answered_for(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["front.jpg"])
    (drop / "more").mkdir()
    for twin in ("more/front.jpg", "Front.JPEG"):
        (drop / twin).write_bytes((drop / "front.jpg").read_bytes())
    assert pipeline.run("raw_photos", source=drop).success
    assert statuses(pipeline) == dict.fromkeys(["front.jpg", "more/front.jpg", "Front.JPEG"], "flagged")
    assert len(pipeline.photo_set("raw_photos").photos) == 1


def test_a_logo_that_is_no_picture_is_rejected_and_the_listing_goes_on(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    (drop / "logo.png").write_text("<script>alert(1)</script>")
    (drop / "listing.yaml").write_text("agent: {logo: logo.png}\n")
    assert pipeline.run("raw_photos", source=drop).success
    assert statuses(pipeline) == {"kitchen.jpg": "accepted", "logo.png": "rejected"}
    assert not pipeline.photo_set("raw_photos").companions


def test_a_name_in_listing_yaml_that_no_file_has_is_said(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    (drop / "listing.yaml").write_text("exclude: [kitchn.jpg]\nrooms: {kitchen.jpg: kitchen, hall.jpg: hallway}\n")
    result = pipeline.run("raw_photos", source=drop)
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert "exclude: kitchn.jpg" in check.description
    assert "rooms: hall.jpg" in check.description
    assert "kitchen.jpg)" not in check.description.replace("kitchn", "")


def test_a_name_in_other_letters_is_answered_with_the_one_that_is_there(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    (drop / "listing.yaml").write_text("rooms: {KITCHEN.JPG: kitchen}\nexclude: [attic.png]\n")
    assert pipeline.run("raw_photos", source=drop).success
    told = "listing.yaml names a file that isn't there"
    assert pipeline.photo_set("raw_photos").stage.messages == (
        f"{told} (rooms: KITCHEN.JPG, did you mean kitchen.jpg?)",
        f"{told} (exclude: attic.png)",
    )


def test_a_link_is_told_since_it_is_not_followed(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    (drop / "hall.jpg").symlink_to(drop / "kitchen.jpg")
    assert pipeline.run("raw_photos", source=drop).success
    assert pipeline.photo_set("raw_photos").stage.messages == (
        "links aren't followed, give the files themselves: hall.jpg",
    )


def test_a_key_of_listing_yaml_that_nothing_reads_yet_is_told(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    (drop / "listing.yaml").write_text("callback_url: https://example.org/done\n")
    assert pipeline.run("raw_photos", source=drop).success
    assert pipeline.photo_set("raw_photos").stage.messages == (
        "callback_url in listing.yaml is kept, but nothing reads it yet",
    )


def test_a_name_from_a_mac_is_the_name_people_type(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["a.jpg", "b.jpg", "c.jpg"])
    for old, new in (("a.jpg", "Küche.jpg"), ("b.jpg", "Büro.jpg"), ("c.jpg", "Schlüssel.jpg")):
        (drop / old).rename(drop / unicodedata.normalize("NFD", new))
    typed = "rooms: {Küche.jpg: kitchen}\nexclude: [Büro.jpg]\nagent: {logo: Schlüssel.jpg}\n"
    (drop / "listing.yaml").write_text(unicodedata.normalize("NFC", typed), encoding="utf-8")
    assert pipeline.run("raw_photos", "preprocessed_photos", source=drop).success
    (photo,) = pipeline.photo_set("preprocessed_photos").photos
    assert photo.room.type == "kitchen"
    raw = pipeline.photo_set("raw_photos")
    assert list(raw.companions) == [raw.listing.agent.logo]
    assert not raw.stage.messages


def test_what_people_call_their_files_makes_no_link_and_no_element_in_the_ui(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg"])
    (drop / "listing.yaml").write_text('exclude: ["<img src=x>.jpg", "![a](http://b).jpg"]\n')
    result = pipeline.run("raw_photos", source=drop)
    (event,) = result.asset_materializations_for_node("raw_photos")
    text = event.metadata["messages"].md_str
    assert r"\<img src=x\>" in text
    assert r"!\[a\](http" in text


def test_a_file_over_the_size_limit_is_refused_unread(pipeline, tmp_path, monkeypatch):
    from listing_media_dagster.assets import intake
    from listing_media_dagster.assets.drop import DropFile

    usable, refused = intake.refuse_unread([DropFile("a.jpg", 10), DropFile("huge.jpg", 50 * 2**30)])
    assert [file.name for file in usable] == ["a.jpg"]
    assert "51200 MB, the limit is 200 MB" in refused[0].reason


def test_a_rejection_of_an_earlier_drop_stays_in_the_report_until_it_is_answered(pipeline, tmp_path):
    first = write_rooms(tmp_path / "first", ["kitchen.jpg"])
    pipeline.store.write(f"inbox/{LISTING}/kitchen.jpg", first / "kitchen.jpg")
    pipeline.store.write(f"inbox/{LISTING}/bath.jpg", b"not a picture")
    assert pipeline.run("raw_photos").success
    pipeline.store.delete(f"inbox/{LISTING}/kitchen.jpg")
    pipeline.store.delete(f"inbox/{LISTING}/bath.jpg")
    assert pipeline.run("raw_photos").success
    assert statuses(pipeline) == {"kitchen.jpg": "accepted", "bath.jpg": "rejected"}
    pipeline.store.write(f"inbox/{LISTING}/bath.jpg", write_rooms(tmp_path / "b", ["bath.jpg"]) / "bath.jpg")
    assert pipeline.run("raw_photos").success
    assert statuses(pipeline) == {"kitchen.jpg": "accepted", "bath.jpg": "accepted"}


def test_originals_read_by_an_older_version_are_read_again(pipeline, tmp_path, monkeypatch):
    from listing_media_dagster.photo import decode

    room = write_rooms(tmp_path / "d", ["kitchen.jpg"]) / "kitchen.jpg"
    pipeline.store.write(f"inbox/{LISTING}/kitchen.jpg", room)
    assert pipeline.run("raw_photos").success
    pipeline.store.delete(f"inbox/{LISTING}/kitchen.jpg")
    monkeypatch.setattr(decode, "VERSION", "next")
    assert pipeline.run("raw_photos").success
    assert pipeline.photo_set("raw_photos").stage.computed == 1
    assert pipeline.run("raw_photos").success
    assert pipeline.photo_set("raw_photos").stage.computed == 0


def test_logo_and_music_named_in_listing_yaml_are_kept_aside_not_rejected(pipeline, tmp_path):
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg", "logo.png"])
    (drop / "tune.ogg").write_bytes(b"OggS")
    (drop / "listing.yaml").write_text("agent: {logo: logo.png}\nmusic: tune.ogg\n")
    assert pipeline.run("raw_photos", source=drop).success
    assert statuses(pipeline) == {"kitchen.jpg": "accepted"}
    companions = pipeline.photo_set("raw_photos").companions
    assert pipeline.store.read(companions["tune.ogg"].key) == b"OggS"


def test_the_report_is_what_its_schema_says(pipeline, tmp_path):
    import jsonschema

    from listing_media_dagster.store.report import report_schema

    assert pipeline.run("raw_photos", source=write_rooms(tmp_path / "drop", ["kitchen.jpg"])).success
    jsonschema.validate(pipeline.report(), report_schema())
    assert json.loads(json.dumps(report_schema()))["title"] == "ListingReport"


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_drawn_rooms_differ():
    assert (draw_room(1) != draw_room(2)).any()
