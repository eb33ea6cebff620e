"""What every store promises, on a local folder and on a real S3 server alike."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from listing_media_dagster.listing import StoredObject
from listing_media_dagster.store.media_store import MediaStore, ObjectMissing, StoreError

ODD_NAMES = [
    "IMG 0001.jpg",
    "a#1.jpg",
    "photo#1",
    "100%.jpg",
    "a%20b.jpg",
    "a+b.jpg",
    "salón é.jpg",
    "日本 😀.jpg",
    "[x]~*?.jpg",
    "a&b=c;d,e.jpg",
    'it\'s "quoted".jpg',
    "{a}|b:c.jpg",
    " leading.jpg",
    "trailing ",
    "..almost..jpg",
    ".hidden",
]
BAD_KEYS = [
    "",
    "/etc/passwd",
    "a/../b",
    "..",
    "a/./b",
    "a//b",
    "a/",
    "a\\b",
    "a\x00b",
    "a\tb",
    "a\nb",
    "x" * 256,
    "\ud800",
]


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MediaStore:
    if request.param == "folder":
        return MediaStore(str(tmp_path / "media"))
    server = request.getfixturevalue("s3_server")
    return server.store(request.getfixturevalue("s3_store_url"))


def keys(store: MediaStore, prefix: str = "", **how: str) -> list[str]:
    return [listed.key for listed in store.list(prefix, **how)]


def test_what_is_written_is_read_back_with_its_digest_and_size(store: MediaStore) -> None:
    stored = store.write("listings/h/raw_photos/a.jpg", b"pixels")
    digest = hashlib.sha256(b"pixels").hexdigest()
    assert stored.model_copy(update={"etag": None}) == StoredObject(
        key="listings/h/raw_photos/a.jpg", sha256=digest, size=6
    )
    assert store.read(stored.key) == b"pixels"
    assert store.read_verified(stored) == b"pixels"
    assert store.size(stored.key) == 6
    assert store.exists(stored.key)


def test_an_empty_object_is_an_object(store: MediaStore) -> None:
    stored = store.write("inbox/h/_READY", b"")
    assert store.read("inbox/h/_READY") == b""
    assert store.read_verified(stored) == b""
    assert store.verify([stored]) == []


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_people_give_their_files_survive_every_operation(store: MediaStore, name: str) -> None:
    key, moved = f"inbox/h/{name}", f"handled/h/{name}"
    store.write(key, name.encode())
    assert keys(store, "inbox/h/") == [key]
    assert store.read(key) == name.encode()
    with store.open_local(key) as path:
        assert path.read_bytes() == name.encode()
    store.move(key, moved)
    assert keys(store) == [moved]
    store.delete(moved)
    assert keys(store) == []


def test_a_name_that_percent_decodes_to_another_is_not_mistaken_for_it(store: MediaStore) -> None:
    store.write("inbox/h/a b.jpg", b"space")
    store.write("inbox/h/a%20b.jpg", b"percent")
    assert store.read("inbox/h/a b.jpg") == b"space"
    assert store.read("inbox/h/a%20b.jpg") == b"percent"


@pytest.mark.parametrize("key", BAD_KEYS)
def test_keys_that_could_leave_the_store_or_mean_two_things_are_refused(store: MediaStore, key: str) -> None:
    for attempt in (
        store.read,
        store.exists,
        store.delete,
        lambda k: store.write(k, b""),
        lambda k: store.create(k, b""),
    ):
        with pytest.raises(StoreError, match="can't be a key"):
            attempt(key)
    with pytest.raises(StoreError):
        store.move("inbox/h/a.jpg", key)


def test_missing_objects_say_where_they_were_expected(store: MediaStore) -> None:
    with pytest.raises(ObjectMissing, match=r"inbox/h/gone\.jpg isn't in"):
        store.read("inbox/h/gone.jpg")
    with pytest.raises(ObjectMissing, match="gone"), store.open_local("inbox/h/gone.jpg"):
        pass
    with pytest.raises(ObjectMissing):
        store.size("inbox/h/gone.jpg")
    with pytest.raises(ObjectMissing, match="nothing to move"):
        store.move("inbox/h/gone.jpg", "handled/x")
    assert not store.exists("inbox/h/gone.jpg")
    store.delete("inbox/h/gone.jpg")


def test_verification_names_the_asset_to_materialize_again(store: MediaStore) -> None:
    good = store.write("listings/house-1/enhanced_photos/a.jpg", b"good")
    changed = store.write("listings/house-1/enhanced_photos/b.jpg", b"12345")
    shortened = store.write("listings/house-1/raw_photos/c.jpg", b"12345")
    store.write(changed.key, b"54321")
    store.write(shortened.key, b"1")
    missing = good.model_copy(update={"key": "listings/house-1/tour_video/tour.mp4"})
    problems = store.verify([good, changed, shortened, missing])
    assert len(problems) == 3
    assert "enhanced_photos/b.jpg" in problems[0]
    assert "materialize enhanced_photos of listing house-1 again" in problems[0]
    assert "has 1 bytes, 5 were stored" in problems[1]
    assert "drop the photos of house-1 into the inbox again" in problems[1]
    assert "tour.mp4 is missing" in problems[2]
    for broken in (changed, missing):
        with pytest.raises(StoreError, match="again"):
            store.read_verified(broken)
        with pytest.raises(StoreError, match="again"), store.open_local(broken):
            pass


def test_an_object_hashed_once_is_not_read_again_until_it_changes(
    store: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = store.write("listings/h/raw_photos/a.jpg", b"original")
    reads: list[str] = []
    chunks = store._backend.chunks
    monkeypatch.setattr(store._backend, "chunks", lambda key, size=None: (reads.append(key), chunks(key, size))[1])
    assert store.verify([stored]) == []
    assert reads == [], "written by this process: the digest is known"
    replacement = store.write(stored.key, b"replaced")
    assert len(store.verify([stored])) == 1
    assert store.verify([replacement]) == []
    assert reads == []


def test_an_object_from_elsewhere_is_hashed_exactly_once(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import listing_media_dagster.store.media_store as module

    stored = store.write("listings/h/raw_photos/a.jpg", b"original").model_copy(update={"etag": None})
    monkeypatch.setattr(module, "_known", module.KnownDigests())
    reads: list[str] = []
    chunks = store._backend.chunks
    monkeypatch.setattr(store._backend, "chunks", lambda key, size=None: (reads.append(key), chunks(key, size))[1])
    for _ in range(3):
        assert store.verify([stored]) == []
    assert reads == [stored.key]


def test_large_files_are_streamed_in_parts_and_come_back_identical(store: MediaStore, tmp_path: Path) -> None:
    data = random.Random(7).randbytes(20 * 2**20 + 13)
    source = tmp_path / "tour.mp4"
    source.write_bytes(data)
    stored = store.write("listings/h/tour_video/tour.mp4", source)
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert stored.size == len(data)
    assert store.read_verified(stored) == data
    with store.open_local(stored) as path:
        assert path.read_bytes() == data
    assert store.sha256(stored.key) == stored.sha256


def test_listing_is_complete_sorted_and_can_start_after_a_key(store: MediaStore) -> None:
    names = ["a.jpg", "a/b.jpg", "a0.jpg", "é.jpg", "Z.jpg", "b/c/d.jpg"]
    for name in names:
        store.write(f"inbox/h/{name}", b"x")
    store.write("inbox/h2/other.jpg", b"x")
    store.write("listings/h/raw_photos/manifest.json", b"{}")
    expected = sorted((f"inbox/h/{name}" for name in names), key=str.encode)
    assert keys(store, "inbox/h/") == expected
    assert keys(store, "inbox/h/", start_after=expected[2]) == expected[3:]
    assert keys(store, "inbox/h/b/") == ["inbox/h/b/c/d.jpg"]
    assert keys(store, "inbox/h") == [*expected, "inbox/h2/other.jpg"]
    assert len(keys(store)) == 8
    assert keys(store, "inbox/nothing/") == []
    assert store.list_folders("inbox/") == ["h", "h2"]
    assert store.list_folders("") == ["inbox", "listings"]
    assert store.list_folders("nothing/") == []


def test_listing_tells_changed_objects_by_their_etag(store: MediaStore) -> None:
    store.write("inbox/h/a.jpg", b"one")
    before = next(store.list("inbox/"))
    store.write("inbox/h/a.jpg", b"two")
    after = next(store.list("inbox/"))
    assert before.etag != after.etag
    assert after.etag == store.stat("inbox/h/a.jpg").etag  # type: ignore[union-attr]
    assert after.modified.tzinfo is not None


def test_of_many_who_create_at_once_one_wins(store: MediaStore) -> None:
    start = threading.Barrier(12)

    def claim(number: int) -> int | None:
        start.wait()
        return number if store.create("claims/house-1", b"claimed by %d" % number) else None

    with ThreadPoolExecutor(12) as pool:
        winners = [number for number in pool.map(claim, range(12)) if number is not None]
    assert len(winners) == 1
    assert store.read("claims/house-1") == b"claimed by %d" % winners[0]
    assert store.create("claims/house-1", b"late") is None
    assert store.read("claims/house-1") == b"claimed by %d" % winners[0]


def test_a_move_refuses_a_version_nobody_looked_at(store: MediaStore) -> None:
    store.write("inbox/h/a.jpg", b"seen")
    seen = store.stat("inbox/h/a.jpg")
    assert seen is not None
    store.write("inbox/h/a.jpg", b"newer")
    with pytest.raises(StoreError, match="replaced before it could be moved"):
        store.move("inbox/h/a.jpg", "handled/h/a.jpg", etag=seen.etag)
    assert store.read("inbox/h/a.jpg") == b"newer"
    assert not store.exists("handled/h/a.jpg")


def test_an_upload_that_lands_during_a_move_is_kept(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("inbox/h/a.jpg", b"old one")
    copy = store._backend.copy

    def copy_then_upload(source: str, target: str) -> None:
        copy(source, target)
        store.write(source, b"new upload")

    monkeypatch.setattr(store._backend, "copy", copy_then_upload)
    with pytest.raises(StoreError, match="replaced while it was being moved"):
        store.move("inbox/h/a.jpg", "handled/h/a.jpg")
    assert store.read("inbox/h/a.jpg") == b"new upload"


def test_a_bad_copy_never_costs_the_original(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("inbox/h/a.jpg", b"precious")
    monkeypatch.setattr(store._backend, "copy", lambda source, target: store.write(target, b"garbage!"))
    with pytest.raises(StoreError, match="isn't the same"):
        store.move("inbox/h/a.jpg", "handled/h/a.jpg")
    assert store.read("inbox/h/a.jpg") == b"precious"


def test_readers_see_the_old_or_the_new_object_never_a_part(store: MediaStore) -> None:
    versions = [bytes([n]) * 300_000 for n in range(4)]
    store.write("listings/h/report.json", versions[0])
    done = threading.Event()
    seen: list[bytes] = []

    def read() -> None:
        while not done.is_set() or not seen:
            seen.append(store.read("listings/h/report.json"))

    reader = threading.Thread(target=read)
    reader.start()
    for version in versions * 4:
        store.write("listings/h/report.json", version)
    done.set()
    reader.join()
    assert seen and all(data in versions for data in seen)


def test_a_write_that_dies_leaves_the_old_object_and_no_trace(
    store: MediaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import listing_media_dagster.store.media_store as module

    store.write("listings/h/tour_video/tour.mp4", b"old video")
    source = tmp_path / "new.mp4"
    source.write_bytes(b"n" * (18 * 2**20))
    whole = module._hashed

    def half(data, digest):  # type: ignore[no-untyped-def]
        yield next(whole(data, digest))
        raise OSError("disk was pulled")

    monkeypatch.setattr(module, "_hashed", half)
    with pytest.raises((OSError, StoreError), match="disk was pulled"):
        store.write("listings/h/tour_video/tour.mp4", source)
    assert store.read("listings/h/tour_video/tour.mp4") == b"old video"
    assert keys(store) == ["listings/h/tour_video/tour.mp4"]


def test_links_are_quoted_for_browsers(store: MediaStore) -> None:
    link = store.link("listings/h/raw_photos/a #1 50%.jpg", "http://127.0.0.1:3001/media/")
    assert link == "http://127.0.0.1:3001/media/listings/h/raw_photos/a%20%231%2050%25.jpg"


# --- what only a folder can do wrong ----------------------------------------------------------------------------------


def test_a_file_url_and_a_path_name_the_same_folder(tmp_path: Path) -> None:
    by_path, by_url = MediaStore(str(tmp_path / "my media")), MediaStore((tmp_path / "my media").as_uri())
    by_path.write("a/b", b"1")
    assert by_url.read("a/b") == b"1"
    assert by_path.url == by_url.url


@pytest.mark.parametrize("url", ["", "ftp://host/x", "file://server/share", "s3://", "s3:///prefix", "s3:/bucket/x"])
def test_urls_that_name_no_store_are_refused(url: str) -> None:
    with pytest.raises(StoreError):
        MediaStore(url)


def test_a_crash_in_the_middle_of_a_write_leaves_the_old_file_in_a_folder(tmp_path: Path) -> None:
    store = MediaStore(str(tmp_path))
    store.write("listings/h/report.json", b"old")
    child = os.fork()
    if child == 0:  # a process that dies without any clean-up, halfway through
        try:
            store._backend.write("listings/h/report.json", (os._exit(9) if n else b"half" for n in range(2)), 8)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert store.read("listings/h/report.json") == b"old"
    assert keys(store) == ["listings/h/report.json"], "the half-written file isn't listed"


def test_symbolic_links_dropped_into_the_inbox_reach_nothing_outside(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"not yours")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key.jpg").write_bytes(b"not yours")
    store = MediaStore(str(tmp_path / "media"))
    store.write("inbox/h/mine.jpg", b"mine")
    drop = tmp_path / "media" / "inbox" / "h"
    (drop / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (drop / "folder").symlink_to(tmp_path / "secrets")
    assert keys(store) == ["inbox/h/mine.jpg"]
    for key in ("inbox/h/link.jpg", "inbox/h/folder/key.jpg"):
        with pytest.raises(StoreError, match="symbolic link"):
            store.read(key)
        with pytest.raises(StoreError, match="symbolic link"):
            store.write(key, b"overwritten")
    assert (tmp_path / "secret.jpg").read_bytes() == b"not yours"


def test_the_inbox_may_lie_on_another_disk_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "nas").mkdir()
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "inbox").symlink_to(tmp_path / "nas")
    store = MediaStore(str(tmp_path / "media"))
    store.write("inbox/h/a.jpg", b"x")
    assert (tmp_path / "nas" / "h" / "a.jpg").read_bytes() == b"x"
    assert keys(store, "inbox/") == ["inbox/h/a.jpg"]
    assert store.list_folders("inbox/") == ["h"]


def test_one_file_with_an_impossible_name_does_not_hide_the_others(tmp_path: Path) -> None:
    store = MediaStore(str(tmp_path))
    store.write("inbox/h/a.jpg", b"x")
    (tmp_path / "inbox" / "h" / "tab\there.jpg").write_bytes(b"x")
    (tmp_path / "inbox" / "h").joinpath(os.fsdecode(b"latin-\xe9.jpg")).write_bytes(b"x")
    assert "inbox/h/a.jpg" in keys(store, "inbox/")
    assert len(keys(store, "inbox/")) == 3
    for key in keys(store, "inbox/"):
        if key != "inbox/h/a.jpg":
            with pytest.raises(StoreError, match="rename the file"):
                store.read(key)


def test_folders_that_become_empty_disappear_from_a_folder_store(tmp_path: Path) -> None:
    store = MediaStore(str(tmp_path))
    store.write("inbox/h/sub/a.jpg", b"x")
    store.move("inbox/h/sub/a.jpg", "handled/h/a.jpg")
    assert store.list_folders("inbox/") == []
    assert store.list_folders("") == ["handled", "inbox"]


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    store = MediaStore(str(tmp_path))
    store.write("listings/h/report.json/x", b"x")
    with pytest.raises(StoreError, match="is a folder"):
        store.write("listings/h/report.json", b"{}")
    assert not store.exists("listings/h/report.json")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "let this user write there"), (errno.EIO, "is mounted")],
)
def test_a_disk_that_cannot_be_written_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    store = MediaStore(str(tmp_path))
    store.write("listings/h/report.json", b"old")

    def failing(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StoreError, match=f"can't write listings/h/report.json in .*{remedy}"):
        store.write("listings/h/report.json", b"new")
    assert store.read("listings/h/report.json") == b"old"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["report.json"]


def test_a_folder_that_cannot_be_made_is_given_up_at_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MediaStore(str(tmp_path / "media"))
    monkeypatch.setattr(Path, "mkdir", lambda *_how, **_more: None)  # as in /proc: nobody objects, nothing is there
    with pytest.raises(StoreError, match="can't write a/b"):
        store.write("a/b", b"1")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="can't write a/b"):
        MediaStore(str(tmp_path / "file")).write("a/b", b"1")
