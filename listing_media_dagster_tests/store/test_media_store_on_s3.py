"""S3 on a bad day: errors, slow and cut answers, wrong credentials. The server is real, a proxy spoils its answers."""

from __future__ import annotations

import logging
import random
import traceback
from pathlib import Path

import pytest

from listing_media_dagster.store import bucket as bucket_module
from listing_media_dagster.store.media_store import MediaStore, ObjectMissing, StoreError
from listing_media_dagster_tests.helpers.servers import FaultProxy, S3Server

BIG = random.Random(3).randbytes(20 * 2**20 + 5)


@pytest.fixture
def store(s3_server: S3Server, s3_store_url: str, s3_proxy: FaultProxy) -> MediaStore:
    return s3_server.store(s3_store_url, endpoint=s3_proxy.endpoint, timeout_seconds=5)


@pytest.fixture
def bucket(s3_store_url: str) -> str:
    return s3_store_url.split("/")[2]


@pytest.mark.parametrize("status", [500, 503])
def test_server_errors_are_ridden_out(store: MediaStore, s3_proxy: FaultProxy, status: int) -> None:
    for method in ("PUT", "HEAD", "GET", "DELETE"):
        s3_proxy.spoil(matching=f"{method} ", times=2, status=status)
    stored = store.write("inbox/h/a.jpg", b"pixels")
    assert store.read_verified(stored) == b"pixels"
    assert [listed.key for listed in store.list("inbox/")] == ["inbox/h/a.jpg"]
    s3_proxy.spoil(matching="PUT ", times=2, status=status)
    store.move("inbox/h/a.jpg", "handled/h/a.jpg")
    assert store.read("handled/h/a.jpg") == b"pixels"
    assert [fault.times for fault in s3_proxy.faults] == [0] * 5, "every fault was met"


def test_errors_during_a_multipart_upload_cost_parts_not_the_upload(store: MediaStore, s3_proxy: FaultProxy) -> None:
    s3_proxy.spoil(matching="partNumber=2", times=2, status=503)
    s3_proxy.spoil(matching="partNumber=3", times=1, status=500, applied=True)
    stored = store.write("listings/h/tour_video/tour.mp4", BIG)
    assert store.read_verified(stored) == BIG
    uploads = [line for line in s3_proxy.requests if "partNumber" in line]
    assert len(uploads) == 3 + 3
    assert sum("uploads" in line for line in s3_proxy.requests) == 1


def test_an_answer_cut_in_the_middle_is_read_again(store: MediaStore, s3_proxy: FaultProxy) -> None:
    stored = store.write("listings/h/tour_video/tour.mp4", BIG)
    s3_proxy.spoil(matching="GET ", times=2, cut=True)
    assert store.read_verified(stored) == BIG
    s3_proxy.spoil(matching="GET ", times=1, cut=True)
    with store.open_local(stored) as path:
        assert path.read_bytes() == BIG
    s3_proxy.spoil(matching="list-type=2", times=1, cut=True)
    assert len(list(store.list())) == 1


def test_a_server_that_hangs_is_asked_again(s3_server: S3Server, s3_store_url: str, s3_proxy: FaultProxy) -> None:
    store = s3_server.store(s3_store_url, endpoint=s3_proxy.endpoint, timeout_seconds=0.4)
    store.write("a.jpg", b"pixels")
    for matching in ("HEAD ", "GET ", "list-type=2"):
        s3_proxy.spoil(matching=matching, times=1, hang=30)
    assert store.read("a.jpg") == b"pixels"
    assert [listed.key for listed in store.list()] == ["a.jpg"]


def test_a_server_that_stays_down_is_named_with_the_key(
    s3_server: S3Server, s3_store_url: str, s3_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "ATTEMPTS", 2)
    store = s3_server.store(s3_store_url, endpoint=s3_proxy.endpoint)
    s3_proxy.spoil(times=1000, status=503)
    with pytest.raises(StoreError, match=r"can't look at inbox/h/a\.jpg in s3://.*503"):
        store.exists("inbox/h/a.jpg")


def test_an_unreadable_bucket_is_an_error_never_an_empty_listing(
    store: MediaStore, s3_server: S3Server, s3_proxy: FaultProxy
) -> None:
    s3_proxy.spoil(matching="list-type=2", times=1000, status=403)
    with pytest.raises(StoreError, match="can't list inbox/"):
        list(store.list("inbox/"))
    with pytest.raises(StoreError, match="can't list"):
        store.list_folders("inbox/")
    absent = s3_server.store("s3://no-such-bucket-here/media")
    with pytest.raises(StoreError, match=r"bucket.*exist"):
        list(absent.list())
    with pytest.raises(StoreError, match="bucket") as caught:
        absent.write("a", b"x")
    assert not isinstance(caught.value, ObjectMissing)


def test_an_object_replaced_while_it_is_read_is_not_stitched_together(
    store: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("listings/h/tour_video/tour.mp4", BIG)
    parts = store._backend.chunks("listings/h/tour_video/tour.mp4")
    next(parts)
    store.write("listings/h/tour_video/tour.mp4", BIG[::-1])
    with pytest.raises(StoreError, match="replaced meanwhile"):
        list(parts)


def test_a_listing_of_many_pages_is_complete_and_stops_when_told(
    store: MediaStore, s3_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "PAGE_KEYS", 4)
    for number in range(10):
        store.write(f"inbox/h/{number}.jpg", b"")
    s3_proxy.requests.clear()
    s3_proxy.spoil(matching="continuation-token", times=1, status=503)
    assert [listed.key for listed in store.list("inbox/")] == [f"inbox/h/{n}.jpg" for n in range(10)]
    assert len(s3_proxy.requests) == 3 + 1
    s3_proxy.requests.clear()
    next(store.list("inbox/"))
    assert len(s3_proxy.requests) == 1, "pages nobody asked for aren't fetched"


def test_keys_other_programs_made_are_listed_as_they_are(store: MediaStore, s3_server: S3Server, bucket: str) -> None:
    for key in ("media/inbox/h/", "media/inbox/h//double.jpg", "media/inbox/h/tab\there.jpg", "media/inbox/h/ok.jpg"):
        s3_server.client.put_object(Bucket=bucket, Key=key, Body=b"" if key.endswith("/") else b"x")
    assert [listed.key for listed in store.list("inbox/")] == [
        "inbox/h//double.jpg",
        "inbox/h/ok.jpg",
        "inbox/h/tab\there.jpg",
    ]
    with pytest.raises(StoreError, match="rename the file"):
        store.read("inbox/h//double.jpg")


def test_a_failed_upload_leaves_no_parts_to_pay_for(
    store: MediaStore, s3_server: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import listing_media_dagster.store.media_store as module

    whole = module._hashed

    def half(data, digest):  # type: ignore[no-untyped-def]
        chunks = whole(data, digest)
        for _ in range(4):
            yield next(chunks)
        raise OSError("the disk went away")

    source = tmp_path / "tour.mp4"
    source.write_bytes(BIG)
    monkeypatch.setattr(module, "_hashed", half)
    with pytest.raises((StoreError, OSError), match="the disk went away"):
        store.write("listings/h/tour_video/tour.mp4", source)
    assert s3_server.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_pictures_are_stored_with_their_media_type(store: MediaStore, s3_server: S3Server, bucket: str) -> None:
    store.write("listings/h/enhanced_photos/a.jpg", b"x")
    store.write("listings/h/tour_video/tour.mp4", BIG[: 9 * 2**20])
    store.create("listings/h/report.json", b"{}")
    types = {
        key: s3_server.client.head_object(Bucket=bucket, Key=f"media/listings/h/{key}")["ContentType"]
        for key in ("enhanced_photos/a.jpg", "tour_video/tour.mp4", "report.json")
    }
    assert list(types.values()) == ["image/jpeg", "video/mp4", "application/json"]


def test_secrets_appear_nowhere(
    store: MediaStore, s3_server: S3Server, s3_proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = s3_server.secret_access_key
    s3_proxy.spoil(times=1000, status=403)
    for attempt in (
        lambda: store.read("a"),
        lambda: store.write("a", b"x"),
        lambda: list(store.list()),
        lambda: store.create("a", b"x"),
    ):
        with pytest.raises(StoreError) as caught:
            attempt()
        text = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert secret not in text
        assert "Signature=" not in text
    assert secret not in repr(store) + str(store.__dict__) + repr(store._backend) + caplog.text


def test_half_a_key_pair_is_refused() -> None:
    with pytest.raises(StoreError, match="go together"):
        MediaStore("s3://bucket-name/media", access_key_id="id")


def test_the_aws_credential_chain_is_asked_when_no_keys_are_given(
    s3_server: S3Server, s3_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "credentials"
    profile.write_text(f"[photos]\naws_access_key_id = {s3_server.access_key_id}\naws_secret_access_key = s3cr3t\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreError, match=r"no credentials .* LISTING_MEDIA_S3_ACCESS_KEY_ID"):
        MediaStore(s3_store_url, s3_endpoint=s3_server.endpoint)
    monkeypatch.setenv("AWS_PROFILE", "photos")
    store = MediaStore(s3_store_url, s3_endpoint=s3_server.endpoint)
    store.write("a.jpg", b"x")
    assert [listed.key for listed in store.list()] == ["a.jpg"]


def test_a_stored_picture_is_verified_by_a_later_process_without_downloading_it(
    s3_server: S3Server, s3_store_url: str, s3_proxy: FaultProxy
) -> None:
    stored = s3_server.store(s3_store_url).write("listings/a/enhanced_photos/kitchen.jpg", b"pixels" * 1000)
    later = s3_server.store(s3_store_url, endpoint=s3_proxy.endpoint)  # knows nothing of what the first has hashed
    assert later.verify([stored]) == []
    assert not [request for request in s3_proxy.requests if request.startswith("GET")]
    s3_server.store(s3_store_url).write(stored.key, b"PIXELS" * 1000)
    assert later.verify([stored])
