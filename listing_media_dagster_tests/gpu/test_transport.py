"""Results on their way back: what the manifest vouches for gets in, and nothing else."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from listing_media_dagster.gpu.job import BadJob, JobFolder
from listing_media_dagster.gpu.transport import bring_back, pack_results
from listing_media_dagster_tests.gpu.test_job import finished
from listing_media_dagster_tests.helpers.jobs import write_enhance_job


@pytest.fixture
def sent(tmp_path: Path) -> JobFolder:
    return write_enhance_job(tmp_path / "sent", items=2)


@pytest.fixture
def done(sent: JobFolder, tmp_path: Path) -> JobFolder:
    shutil.copytree(sent.path, tmp_path / "done")
    return finished(JobFolder(tmp_path / "done"))


def returned(folder: JobFolder, to: Path) -> Path:
    """Zip a folder as it lies there, whatever was done to it since it was finished."""
    with zipfile.ZipFile(to, "w") as archive:
        for path in sorted(folder.path.rglob("*")):
            if path.is_file() and "inputs" not in path.parts:
                archive.write(path, path.relative_to(folder.path))
    return to


def test_results_come_back_as_they_were_made(sent: JobFolder, done: JobFolder, tmp_path: Path) -> None:
    pack_results(done, tmp_path / "results.zip")
    bring_back(tmp_path / "results.zip", sent)
    assert sent.result() == done.result()
    assert sent.done() == done.done()


def test_of_a_zip_only_what_the_manifest_vouches_for_is_taken(sent: JobFolder, done: JobFolder, tmp_path: Path) -> None:
    item = done.path / "outputs" / "room-0" / "item.json"
    record = json.loads(item.read_bytes())
    item.write_text(json.dumps({**record, "record": {"verdicts": "all well"}}))
    (done.path / "outputs" / "room-0" / "more.txt").write_text("unasked")
    bring_back(returned(done, tmp_path / "results.zip"), sent)
    room = sent.done_item("room-0")
    assert room and room.record == {} and room == sent.result().items[0]
    assert not (sent.path / "outputs" / "room-0" / "more.txt").exists()


def test_a_tampered_output_leaves_the_job_as_it_was(sent: JobFolder, done: JobFolder, tmp_path: Path) -> None:
    (done.path / "outputs" / "room-1" / "out.txt").write_text("another")
    with pytest.raises(BadJob, match=r"room-1/out\.txt"):
        bring_back(returned(done, tmp_path / "results.zip"), sent)
    assert sent.done() == {} and not (sent.path / "outputs").exists()


def test_a_folder_in_the_place_of_a_file_is_refused(sent: JobFolder, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "results.zip", "w") as archive:
        archive.writestr("job.json/x", "y")
    with pytest.raises(BadJob, match=r"job\.json"):
        bring_back(tmp_path / "results.zip", sent)
