"""What comes back from a session: nothing that is cut, changed, too large or foreign gets in."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from listing_media_dagster.gpu.job import JobFolder, unpack
from listing_media_dagster.gpu.kaggle.fetch import BadOutput, fetch_results, take_in
from listing_media_dagster.gpu.work.bench import Bench
from listing_media_dagster.gpu.worker import Assignment, work_off
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster_tests.helpers.fake_kaggle import FakeKaggle

SHIPMENT = "0123456789ab"
GOOD = {"ticket/outputs/a/x.bin": b"result"}


def offer(kaggle: FakeKaggle, entries: dict[str, bytes] | None = None, **said: Any) -> dict[str, str]:
    """Let the fake offer such results, and return their addresses; `said` is what the manifest lies about."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in (GOOD if entries is None else entries).items():
            archive.writestr(name, data)
    data = packed.getvalue()
    manifest: dict[str, Any] = {"shipment": SHIPMENT, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    manifest |= {"device": "2 x Tesla T4", "seconds": 1.0} | said
    return kaggle.offer_outputs({"results.zip": data, "results.json": json.dumps(manifest).encode()})


def test_results_come_whole(kaggle: FakeKaggle, tmp_path: Path) -> None:
    fetched = fetch_results(offer(kaggle), SHIPMENT, tmp_path / "into")
    assert (fetched.folder / "ticket/outputs/a/x.bin").read_bytes() == b"result"
    assert fetched.manifest.device == "2 x Tesla T4"


@pytest.mark.parametrize(
    ("entries", "said", "reason"),
    [
        (None, {"sha256": "0" * 64}, "its digest differs"),
        (None, {"size": 10}, "goes on after 10 bytes"),
        (None, {"size": 10**6}, "has [0-9]+ bytes where the session wrote 1000000"),
        (None, {"size": 10**12}, "more than 20000000000 aren't taken"),
        (None, {"shipment": "ffffffffffff"}, "that of shipment ffffffffffff"),
        (None, {"sha256": "no digest"}, "can't be read"),
        ({"../outside.txt": b"x"}, {}, "leads out of the job's folder"),
        ({"/etc/outside.txt": b"x"}, {}, "leads out of the job's folder"),
    ],
)
def test_results_that_are_not_what_they_should_be_are_refused(
    kaggle: FakeKaggle, tmp_path: Path, entries: dict[str, bytes] | None, said: dict[str, Any], reason: str
) -> None:
    files = offer(kaggle, entries, **said)
    with pytest.raises(BadOutput, match=reason) as refused:
        fetch_results(files, SHIPMENT, tmp_path / "into")
    assert "signature" not in str(refused.value)
    assert not (tmp_path / "outside.txt").exists() and not Path("/etc/outside.txt").exists()


@pytest.mark.parametrize("fault", ["error_page_downloads", "truncated_downloads", "tampered_downloads"])
def test_an_error_page_or_half_a_file_is_no_result(kaggle: FakeKaggle, tmp_path: Path, fault: str) -> None:
    files = offer(kaggle)
    setattr(kaggle.faults, fault, 99)
    with pytest.raises(BadOutput):
        fetch_results(files, SHIPMENT, tmp_path / "into")
    assert not (tmp_path / "into" / "unpacked").exists()


def test_a_session_that_packed_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadOutput, match=r"left no results\.json"):
        fetch_results({"junk.txt": "https://storage.example/junk"}, SHIPMENT, tmp_path)


def test_only_whole_answers_to_this_very_job_get_into_its_folder(
    make_job: Callable[..., JobFolder], tmp_path: Path
) -> None:
    job, other = make_job("job", items=3), make_job("other", items=3, first_room=7)
    for folder in (job, other):
        work_off([Assignment(folder)], Bench("cpu", WarmModels(), tmp_path))
    sent = make_job("sent", items=3)
    returned = tmp_path / "returned"
    for name, source in (("room-0", job), ("room-1", other), ("room-2", job)):
        (source.path / "outputs" / name).rename(_made(returned / "outputs") / name)
    (picture,) = (returned / "outputs" / "room-2").glob("*.jpg")
    picture.write_bytes(picture.read_bytes()[:-1])
    assert take_in(returned, sent) == {"room-0"}
    assert set(sent.done()) == {"room-0"}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("ticket/outputs/a/link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(ValueError, match="leads out"):
        unpack(tmp_path / "bundle.zip", tmp_path / "into")
