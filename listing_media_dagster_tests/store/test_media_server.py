"""The media server as a browser meets it: ranges, types, refusals; over a folder and over a real S3 server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from listing_media_dagster.store.media_server import Span, create_app, is_foreign, requested_span, serve
from listing_media_dagster.store.media_store import MediaStore, StoreError

FILM = bytes(range(256)) * 500
KEY = "listings/house-1/tour_video/tour.mp4"


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MediaStore:
    if request.param == "folder":
        return MediaStore(str(tmp_path / "media"))
    import boto3

    address = request.getfixturevalue("s3_address")
    login = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    bucket = f"media-{abs(hash(request.node.name)) % 10**9}"
    boto3.client("s3", endpoint_url=address, **login).create_bucket(Bucket=bucket)
    return MediaStore(f"s3://{bucket}/some/prefix", s3_endpoint=address, access_key_id="test", secret_access_key="test")


@pytest.fixture
def folder_store(tmp_path: Path) -> MediaStore:
    return MediaStore(str(tmp_path / "media"))


def _browser(store: MediaStore, host: str = "127.0.0.1:3001") -> TestClient:
    return TestClient(create_app(store), base_url=f"http://{host}", follow_redirects=False)


def test_a_film_is_served_whole_in_parts_and_by_its_end(store: MediaStore) -> None:
    store.write(KEY, FILM)
    browser = _browser(store)
    whole = browser.get(f"/{KEY}")
    assert (whole.status_code, whole.content) == (200, FILM)
    assert whole.headers["content-type"] == "video/mp4" and whole.headers["accept-ranges"] == "bytes"

    part = browser.get(f"/{KEY}", headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, FILM[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(FILM)}"
    assert part.headers["content-length"] == "1000"
    assert browser.get(f"/{KEY}", headers={"Range": "bytes=127000-"}).content == FILM[127000:]
    assert browser.get(f"/{KEY}", headers={"Range": "bytes=-5"}).content == FILM[-5:]

    beyond = browser.get(f"/{KEY}", headers={"Range": "bytes=128000-"})
    assert beyond.status_code == 416 and beyond.headers["content-range"] == f"bytes */{len(FILM)}"


def test_a_part_of_a_large_film_is_read_from_its_place(store: MediaStore) -> None:
    large = bytes(1_000_003) * 9 + b"the end"
    store.write(KEY, large)
    answer = _browser(store).get(f"/{KEY}", headers={"Range": "bytes=8999000-"})
    assert answer.content == large[8999000:] and answer.content.endswith(b"the end")


def test_asking_about_a_film_moves_no_bytes(store: MediaStore) -> None:
    store.write(KEY, FILM)
    answer = _browser(store).head(f"/{KEY}")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", str(len(FILM)))


def test_what_the_browser_has_isnt_sent_again_until_it_changes(store: MediaStore) -> None:
    store.write(KEY, FILM)
    browser = _browser(store)
    etag = browser.get(f"/{KEY}").headers["etag"]
    assert browser.get(f"/{KEY}", headers={"If-None-Match": etag}).status_code == 304
    assert browser.get(f"/{KEY}", headers={"If-Range": etag, "Range": "bytes=0-3"}).status_code == 206
    store.write(KEY, FILM[::-1])
    assert browser.get(f"/{KEY}", headers={"If-None-Match": etag}).content == FILM[::-1]
    assert browser.get(f"/{KEY}", headers={"If-Range": etag, "Range": "bytes=0-3"}).status_code == 200


def test_an_empty_file_is_served_as_one(store: MediaStore) -> None:
    store.write("listings/house-1/empty.txt", b"")
    answer = _browser(store).get("/listings/house-1/empty.txt")
    assert (answer.status_code, answer.content) == (200, b"")
    assert _browser(store).get("/listings/house-1/empty.txt", headers={"Range": "bytes=0-"}).status_code == 416


@pytest.mark.parametrize(
    "path",
    [
        "/listings/../secret.txt",
        "/listings/%2e%2e/secret.txt",
        "/listings/..%2fsecret.txt",
        "/listings/house-1/../../../secret.txt",
        "/listings//etc/passwd",
        "/listings/%2fetc%2fpasswd",
        "/listings/house-1%5c..%5c..%5csecret.txt",
        "/listings/house-1/a%00b",
        "/inbox/house-1/photo.jpg",
        "/secret.txt",
        "/listings/house-1/link.txt",
        "/listings/house-1/raw_photos/kitchen-0a1b2c3d.jpg",
        "/listings/house-1/raw_photos/companions/logo.html",
    ],
)
def test_nothing_outside_the_listings_is_served(folder_store: MediaStore, tmp_path: Path, path: str) -> None:
    folder_store.write(KEY, FILM)
    folder_store.write("inbox/house-1/photo.jpg", b"not yet looked at")
    folder_store.write("listings/house-1/raw_photos/kitchen-0a1b2c3d.jpg", b"secret: where it was taken")
    folder_store.write("listings/house-1/raw_photos/companions/logo.html", b"<script>secret</script>")
    for place in (tmp_path / "secret.txt", tmp_path / "media" / "secret.txt"):
        place.write_text("secret")
    (tmp_path / "media/listings/house-1/link.txt").symlink_to(tmp_path / "secret.txt")
    answer = _browser(folder_store).get(path)
    assert answer.status_code in (404, 502)
    assert b"secret" not in answer.content.replace(b"secret.txt", b"") and b"not yet" not in answer.content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(folder_store: MediaStore, method: str) -> None:
    folder_store.write(KEY, FILM)
    assert _browser(folder_store).request(method, f"/{KEY}").status_code == 405
    assert folder_store.read(KEY) == FILM


@pytest.mark.parametrize("host", ["rebound.example", "rebound.example:3001", "127.0.0.1.rebound.example", ""])
def test_a_name_made_to_point_here_reads_nothing(folder_store: MediaStore, host: str) -> None:
    folder_store.write(KEY, FILM)
    assert _browser(folder_store).get(f"/{KEY}", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:3001", "localhost:3001", "[::1]:3001", "media.example"])
def test_this_machine_and_named_hosts_are_answered(folder_store: MediaStore, host: str) -> None:
    folder_store.write(KEY, FILM)
    app = create_app(folder_store, allowed_hosts=("media.example",))
    assert TestClient(app, base_url=f"http://{host}").get(f"/{KEY}").status_code == 200


def test_other_web_sites_cant_use_the_pictures_but_links_and_the_ui_can() -> None:
    embedded = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    assert is_foreign(embedded)
    assert is_foreign({**embedded, "referer": "https://other.example/127.0.0.1"})
    assert is_foreign({**embedded, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"})
    assert not is_foreign({**embedded, "referer": "http://localhost:3000/assets"})
    assert not is_foreign({**embedded, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"})
    assert not is_foreign({**embedded, "sec-fetch-site": "same-site"})
    assert not is_foreign({})


def test_a_foreign_page_is_refused_by_the_server_itself(folder_store: MediaStore) -> None:
    folder_store.write(KEY, FILM)
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Referer": "https://other.example/"}
    refused = _browser(folder_store).get(f"/{KEY}", headers=headers)
    assert refused.status_code == 403 and FILM[:50] not in refused.content


@pytest.mark.parametrize(
    ("name", "kind", "is_download"),
    [
        ("a.JPG", "image/jpeg", False),
        ("index.html", "text/html; charset=utf-8", False),
        ("manifest.json", "application/json", False),
        ("all.zip", "application/zip", True),
        ("drawing.svg", "application/octet-stream", True),
        ("photo.heic", "application/octet-stream", True),
        ("no extension", "application/octet-stream", True),
    ],
)
def test_only_harmless_types_are_shown(folder_store: MediaStore, name: str, kind: str, is_download: bool) -> None:
    folder_store.write(f"listings/house-1/{name}", b"<svg onload=alert(1)>")
    answer = _browser(folder_store).get(f"/listings/house-1/{name}")
    assert answer.headers["content-type"] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "object-src 'none'" in answer.headers["content-security-policy"]
    assert ("content-disposition" in answer.headers) == is_download


def test_links_the_store_gives_out_are_the_ones_served(folder_store: MediaStore) -> None:
    key = "listings/house-1/listing_package/Küche & Bad #1 100%.jpg"
    folder_store.write(key, b"jpeg")
    link = folder_store.link(key, "http://127.0.0.1:3001/")
    assert _browser(folder_store).get(link).content == b"jpeg"


def test_a_listings_address_leads_to_its_gallery(folder_store: MediaStore) -> None:
    folder_store.write("listings/house-1/listing_package/index.html", b"<p>gallery")
    browser = _browser(folder_store)
    for path in ("/listings/house-1", "/listings/house-1/", "/listings/house-1/listing_package/"):
        answer = browser.get(path)
        assert answer.status_code == 302
        assert answer.headers["location"] == "/listings/house-1/listing_package/index.html"
    assert browser.get("/listings/house-2").status_code == 404


def test_the_index_lists_what_there_is_with_links(store: MediaStore) -> None:
    report = {
        "listing_id": "house-1",
        "files": [{"status": "accepted"}, {"status": "rejected"}, {"status": "flagged"}],
        "photos": [{}, {}],
        "checks": [{"outcome": "warned"}, {"outcome": "passed"}],
        "deliverables": [
            {"name": "tour.mp4", "key": KEY},
            {"name": "poster.jpg", "key": "listings/house-1/tour_video/poster.jpg"},
            {"name": "index.html", "key": "listings/house-1/listing_package/index.html"},
        ],
    }
    store.write("listings/house-1/report.json", json.dumps(report).encode())
    store.write("listings/house-2/raw_photos/manifest.json", b"{}")
    page = _browser(store).get("/").text
    for link in (KEY, "listings/house-1/listing_package/index.html", "listings/house-1/report.json"):
        assert f'href="/{link}"' in page
    assert 'src="/listings/house-1/tour_video/poster.jpg"' in page
    assert "2 photos · 1 rejected · 1 to look at · 1 check not passed" in page
    assert "house-2" in page and "2 listings" in page


def test_an_empty_store_has_an_index_that_says_what_to_do(store: MediaStore) -> None:
    assert "Nothing has been made yet" in _browser(store).get("/").text


def test_names_in_a_report_cant_write_the_page(folder_store: MediaStore) -> None:
    evil = {"deliverables": [{"name": "index.html", "key": 'listings/x/"><script>alert(1)</script>'}], "photos": []}
    folder_store.write("listings/x/report.json", json.dumps(evil).encode())
    folder_store.write("listings/y/report.json", b"not json")
    page = _browser(folder_store).get("/").text
    assert "<script" not in page and "%3Cscript" in page
    assert "y" in page


def test_many_listings_come_in_pages(folder_store: MediaStore) -> None:
    for number in range(61):
        folder_store.write(f"listings/house-{number:02}/report.json", b"{}")
    browser = _browser(folder_store)
    assert "house-60" not in browser.get("/").text
    assert "house-60" in browser.get("/?page=2").text
    assert browser.get("/?page=../../etc").status_code == 200


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=5-", Span(5, 10)),
        ("bytes=5-500", Span(5, 10)),
        ("bytes=-3", Span(7, 10)),
        ("bytes=-300", Span(0, 10)),
        ("bytes=7-3", None),
        ("bytes=0-1,4-5", None),
        ("bytes=-", None),
        ("pages=1-2", None),
        ("bytes=x-y", None),
    ],
)
def test_ranges_are_read_as_the_standard_says(header: str | None, span: Span | None) -> None:
    assert requested_span(header, 10) == span


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=-0", "bytes=99-100"])
def test_a_range_of_no_byte_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="no byte"):
        requested_span(header, 10)


def test_a_taken_port_is_said_in_a_sentence(folder_store: MediaStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=rf"127\.0\.0\.1:{port} can't be listened on"):
            serve(folder_store, "127.0.0.1", port)
