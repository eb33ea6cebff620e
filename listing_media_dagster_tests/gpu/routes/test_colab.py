import json
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import nbformat
import psutil
import pytest

from listing_media_dagster.gpu.colab.notebook import draw_notebook
from listing_media_dagster.gpu.colab.tool import ColabTool
from listing_media_dagster.gpu.job import JobFolder, ModelRef
from listing_media_dagster.gpu.routes import colab as colab_route
from listing_media_dagster.gpu.routes.colab import ByHand, ByTool
from listing_media_dagster.gpu.routes.route import JobCancelled, Listener, RouteFailed
from listing_media_dagster.gpu.transport import pack_results
from listing_media_dagster.store.media_store import MediaStore
from listing_media_dagster_tests.gpu.routes.test_kaggle import OURS
from listing_media_dagster_tests.helpers.fake_colab import calls_of, execute, install_fake_colab
from listing_media_dagster_tests.helpers.gpu_runs import is_gone, until
from listing_media_dagster_tests.helpers.jobs import write_enhance_job


@pytest.fixture
def colab(tmp_path) -> Path:
    return install_fake_colab(tmp_path / "colab").parent


def route_of(colab: Path) -> ByTool:
    return ByTool(ColabTool(str(colab / "colab"), "T4", poll_seconds=0.05), seconds=280)


class Heard:
    def __init__(self, cancelled_when=lambda: False) -> None:
        self.lines: list[str] = []
        self.items: list[str] = []
        self.handles: list[dict] = []
        self.listener = Listener(self.lines.append, self.items.append, self.handles.append, cancelled_when)


def test_a_job_is_done_in_a_session_that_is_given_back(colab, tmp_path):
    job, heard = write_enhance_job(tmp_path / "job", items=2), Heard()
    report = route_of(colab).run(job, heard.listener)
    assert [item.outcome for item in job.result().items] == ["ok", "ok"]
    assert calls_of(colab) == ["new", "upload", "exec", "download", "stop"]
    assert heard.items == ["room-0", "room-1"]
    assert heard.handles == [{"session": "listing-media-small-job"}]
    assert report.device == "cpu" and report.run_seconds > 0
    assert not list((colab / "sessions").iterdir())


def test_no_such_program_is_a_refusal_that_says_how_to_get_it(tmp_path):
    refusal = ColabTool(str(tmp_path / "colab"), "T4").refusal()
    assert refusal and "google-colab-cli" in refusal


def test_no_capacity_is_told_in_colabs_words(colab, tmp_path):
    (colab / "fault-no-capacity").touch()
    with pytest.raises(RouteFailed, match="Allocation refused") as failed:
        route_of(colab).run(write_enhance_job(tmp_path / "job", items=1), Listener())
    assert failed.value.may_succeed_later
    assert calls_of(colab)[-1] == "stop"


def test_a_later_attempt_goes_on_in_the_session_that_is_there(colab, tmp_path):
    job = write_enhance_job(tmp_path / "job", items=1)
    (colab / "fault-cut-download").touch()
    kept = ByTool(_Keeping(str(colab / "colab"), "T4", poll_seconds=0.05), seconds=280)
    with pytest.raises(RouteFailed, match="isn't the job's results"):
        kept.run(job, Listener())
    assert not (job.path / "manifest.json").exists()
    route_of(colab).run(job, Listener(), known={"session": "listing-media-small-job"})
    assert calls_of(colab).count("new") == calls_of(colab).count("upload") == 1
    assert job.result().items[0].outcome == "ok"


class _Keeping(ColabTool):
    """A poller that is killed stops nothing."""

    def stop(self, session: str) -> None:
        pass


def test_cancelling_ends_the_program_and_gives_the_session_back(colab, tmp_path):
    (colab / "hold").touch()
    heard = Heard(lambda: "exec" in calls_of(colab))
    with pytest.raises(JobCancelled):
        route_of(colab).run(write_enhance_job(tmp_path / "job", items=1), heard.listener)
    assert calls_of(colab)[-1] == "stop"


def test_a_poller_that_is_killed_leaves_no_program_behind(colab, tmp_path):
    (colab / "hold").touch()
    job = write_enhance_job(tmp_path / "job", items=1)
    code = f"""
from pathlib import Path
from listing_media_dagster.gpu.colab.tool import ColabTool
from listing_media_dagster.gpu.job import JobFolder
from listing_media_dagster.gpu.routes.colab import ByTool
from listing_media_dagster.gpu.routes.route import Listener
ByTool(ColabTool({str(colab / "colab")!r}, "T4"), seconds=280).run(JobFolder(Path({str(job.path)!r})), Listener())
"""
    with subprocess.Popen([sys.executable, "-c", code]) as poller:
        until(lambda: "exec" in calls_of(colab), "the notebook is at work")
        [program] = psutil.Process(poller.pid).children(recursive=True)
        poller.kill()
    try:
        until(lambda: is_gone(program.pid), "the program has ended")
    finally:
        (colab / "hold").unlink()


def test_a_notebook_waits_beside_its_bundle_until_its_results_come(tmp_path):
    media = MediaStore(str(tmp_path / "media"))
    job, heard = write_enhance_job(tmp_path / "job", items=1), Heard()
    laid_out = tmp_path / "media" / "exchange" / "colab" / "small-job"

    def a_person() -> None:
        until((laid_out / "job.ipynb").exists, "the notebook is laid out")
        cells = nbformat.read(laid_out / "job.ipynb", as_version=4).cells
        assert "files.upload_file" in cells[1].source and "files.download" in cells[-1].source
        (laid_out / "results.zip").write_bytes(b"half a fi")
        until(lambda: any("isn't this job's results yet" in line for line in heard.lines), "half a file is refused")
        carry_results(laid_out, tmp_path / "colab")

    person = threading.Thread(target=a_person)
    person.start()
    route = ByHand(lambda: media, "http://127.0.0.1:3001", seconds=280, poll_seconds=0.05)
    report = route.run(job, heard.listener)
    person.join()
    assert job.result().items[0].outcome == "ok"
    link = "http://127.0.0.1:3001/exchange/colab/small-job/job.ipynb"
    assert any(link in line for line in heard.lines)
    assert [handle["url"] for handle in heard.handles] == [link]
    assert any("isn't this job's results yet" in line for line in heard.lines)
    assert report.device == "cpu"
    assert not list(media.list("exchange/"))


def run_worker(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "listing_media_dagster.gpu.worker", *arguments], check=True)


def carry_results(laid_out: Path, where: Path) -> None:
    """Do what the notebook and the person do: work off what lies in the bundle, put the results beside it."""
    with zipfile.ZipFile(laid_out / "bundle.zip") as bundle:
        bundle.extractall(where)
    run_worker(str(where / "job.zip"), "--into", str(where / "job"))
    pack_results(JobFolder(where / "job"), laid_out / "results.zip")


def test_with_a_bucket_the_notebook_fetches_and_hands_over_by_links_that_expire(s3_store_url, s3_server, tmp_path):
    media = MediaStore(
        s3_store_url,
        s3_endpoint=s3_server.endpoint,
        access_key_id=s3_server.access_key_id,
        secret_access_key=s3_server.secret_access_key,
    )
    job, heard = write_enhance_job(tmp_path / "job", items=1), Heard()

    def a_person() -> None:
        key = "exchange/colab/small-job/job.ipynb"
        until(lambda: media.exists(key), "the notebook is laid out")
        (tmp_path / "colab").mkdir()
        notebook = tmp_path / "colab" / "job.ipynb"
        notebook.write_bytes(media.read(key))
        execute(notebook, tmp_path / "colab")

    person = threading.Thread(target=a_person)
    person.start()
    ByHand(lambda: media, "http://127.0.0.1:3001", seconds=280, poll_seconds=0.1).run(job, heard.listener)
    person.join()
    notebook = json.loads((tmp_path / "colab" / "job.ipynb").read_bytes())
    assert "X-Amz-Expires=280" in json.dumps(notebook)
    assert s3_server.secret_access_key not in json.dumps(notebook) + "".join(heard.lines)
    assert "X-Amz-Signature" not in "".join(heard.lines)
    assert job.result().items[0].outcome == "ok"


def test_a_notebook_nobody_runs_is_given_up_and_cleared_away(tmp_path):
    media = MediaStore(str(tmp_path / "media"))
    route = ByHand(lambda: media, "http://127.0.0.1:3001", seconds=0.2, poll_seconds=0.05)
    with pytest.raises(RouteFailed, match="no results came"):
        route.run(write_enhance_job(tmp_path / "job", items=1), Listener())
    assert not list(media.list("exchange/"))


def test_results_of_another_job_are_not_taken(tmp_path):
    other = write_enhance_job(tmp_path / "other", items=1, first_room=7)
    run_worker(str(other.path))
    pack_results(JobFolder(other.path), tmp_path / "results.zip")
    media = MediaStore(str(tmp_path / "media"))
    media.write("exchange/colab/small-job/results.zip", tmp_path / "results.zip")
    heard = Heard()
    route = ByHand(lambda: media, "http://127.0.0.1:3001", seconds=0.3, poll_seconds=0.05)
    with pytest.raises(RouteFailed, match="no results came"):
        route.run(write_enhance_job(tmp_path / "job", items=1), heard.listener)
    assert any("is that of other work" in line for line in heard.lines)


def test_results_of_any_size_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(colab_route, "LARGEST_RESULTS", 2**20)
    media = MediaStore(str(tmp_path / "media"))
    media.write("exchange/colab/small-job/results.zip", bytes(3 * 2**20))
    monkeypatch.setattr(media, "open_local", lambda key: pytest.fail(f"{key} was read"))
    heard = Heard()
    route = ByHand(lambda: media, "http://127.0.0.1:3001", seconds=0.3, poll_seconds=0.05)
    with pytest.raises(RouteFailed, match="no results came"):
        route.run(write_enhance_job(tmp_path / "job", items=1), heard.listener)
    assert any("results.zip has 3 MB, at most 1 are taken" in line for line in heard.lines)


def test_the_notebook_has_the_worker_fetch_the_models_of_its_job(tmp_path):
    job = write_enhance_job(tmp_path / "job", items=1).job
    book = json.loads(draw_notebook(job, ["svd-xt", "sdxl-union"]))
    said = "".join("".join(cell["source"]) for cell in book["cells"])
    assert "*['--pull', 'svd-xt', 'sdxl-union']]" in said


def test_what_only_this_machine_has_keeps_a_job_from_colab(tmp_path):
    job = write_enhance_job(tmp_path / "job", items=1).job
    ours = job.model_copy(update={"model": ModelRef(id="our-depth"), "entries": OURS})
    for route in (route_of(tmp_path), ByHand(lambda: None, "", seconds=1)):
        assert "some of our-depth lie in a folder of this machine" in route.refusal(ours.needs, ours)
