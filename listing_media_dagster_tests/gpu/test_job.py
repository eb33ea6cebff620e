"""Jobs and bundles that aren't what they should be: refused with words, whatever is wrong with them."""

import errno
import json
import os
import stat
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from listing_media_dagster.gpu.job import BadJob, Item, ItemResult, JobFolder, ModelJob, WorkKind, pack, unpack
from listing_media_dagster_tests.helpers.jobs import write_enhance_job


def damaged_deflate(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("outputs/a/x", os.urandom(2000) + b"a" * 5000)
    data = bytearray(path.read_bytes())
    data[60:80] = b"\xff" * 20
    path.write_bytes(data)


def encrypted(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("job.json", "{}")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def a_file_and_a_folder_of_one_name(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("outputs", "a file")
        archive.writestr("outputs/a/x", "in it")


def leading_out(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs/../../elsewhere", "x")


def a_link(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("inputs")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc")


@pytest.mark.parametrize(
    "spoil",
    [damaged_deflate, encrypted, a_file_and_a_folder_of_one_name, leading_out, a_link],
    ids=lambda f: f.__name__,
)
def test_a_bundle_that_is_damaged_or_hostile_is_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path / "bundle.zip")
    with pytest.raises(BadJob, match=r"bundle\.zip"):
        unpack(tmp_path / "bundle.zip", tmp_path / "into")
    assert not (tmp_path / "elsewhere").exists()


def test_a_bundle_is_the_job_it_was_made_of(tmp_path: Path) -> None:
    folder = write_enhance_job(tmp_path / "job", items=2)
    pack(folder, tmp_path / "bundle.zip")
    again = unpack(tmp_path / "bundle.zip", tmp_path / "into")
    assert again.job == folder.job
    assert all(again.holds(file) for file in again.job.all_inputs())


def test_two_items_of_one_id_are_no_job() -> None:
    with pytest.raises(ValidationError, match="there twice: room"):
        ModelJob(id="twice", kind=WorkKind.DEPTH, items=(Item(id="room"), Item(id="room", seed=1)))


@pytest.mark.parametrize(
    "manifest", ["[1]", "[" * 100_000, '{"job": ["x"], "sha256": {}}', '{"job": "small-job", "sha256": 3}', "\xff"]
)
def test_a_manifest_that_is_none_makes_no_finished_job(tmp_path: Path, manifest: str) -> None:
    folder = finished(write_enhance_job(tmp_path / "job", items=1))
    (folder.path / "manifest.json").write_text(manifest)
    with pytest.raises(BadJob):
        folder.result()


def test_an_output_named_elsewhere_makes_no_finished_job(tmp_path: Path) -> None:
    folder = finished(write_enhance_job(tmp_path / "job", items=2))
    result = json.loads((folder.path / "result.json").read_bytes())
    result["items"][0]["outputs"] = result["items"][1]["outputs"]
    (folder.path / "result.json").write_text(json.dumps(result))
    with pytest.raises(BadJob, match=r"result\.json"):
        folder.result()


def finished(folder: JobFolder) -> JobFolder:
    for item in folder.job.items:
        result = ItemResult(item_id=item.id, key=folder.job.item_key(item), outcome="ok")
        folder.finish_item(result, {"out.txt": item.id.encode()})
    folder.finish()
    return folder


def test_writers_of_one_file_never_get_in_each_others_way(tmp_path: Path) -> None:
    folder = write_enhance_job(tmp_path / "job", items=1)
    whole = [bytes([number]) * 5000 for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda data: [folder.write("outputs/a/out.bin", data) for _ in range(50)], whole))
    assert (folder.path / "outputs/a/out.bin").read_bytes() in whole
    assert [path.name for path in (folder.path / "outputs/a").iterdir()] == ["out.bin"]


def test_a_full_disk_leaves_neither_half_a_file_nor_a_finished_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_enhance_job(tmp_path / "job", items=1)
    write = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        finished(folder)
    assert folder.done() == {} and not any((folder.path / "outputs/room-0").iterdir())
