"""Colab: Google's command line tool where it is installed, else a notebook that a person runs while the step waits."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from listing_media_dagster.gpu.colab.notebook import BUNDLE, RESULTS, Links, draw_notebook
from listing_media_dagster.gpu.colab.tool import FREE_GPU, GPUS, ColabTool
from listing_media_dagster.gpu.job import BadJob, JobFolder, ModelJob, Needs
from listing_media_dagster.gpu.job_models import on_the_hub, out_of_reach, weights_wanted
from listing_media_dagster.gpu.routes.route import URL, JobCancelled, Listener, RouteFailed, RouteReport
from listing_media_dagster.gpu.transport import bring_back, bundle_job
from listing_media_dagster.gpu.worker import ProgressLine
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.settings import Settings
from listing_media_dagster.store.media_store import MediaStore

COLAB = "https://colab.research.google.com/"
SESSION = "session"
LARGEST_RESULTS = 8 * 2**30
"""Bytes: results that a person brings back are refused above this."""
NOTHING_FOR_A_GPU = "nothing in it runs on a GPU"


def open_route(at: Settings) -> ByTool | ByHand:
    minutes = at.colab_minutes
    if at.colab == "tool":
        return ByTool(ColabTool(at.colab_command, at.colab_gpu), minutes * 60)
    from listing_media_dagster.store.photo_sets import MediaStoreResource

    return ByHand(MediaStoreResource().store, at.media_url, minutes * 60)


@dataclass(frozen=True)
class ByTool:
    """One session of its own for a job; a later attempt goes on in it, and it is given back whatever happens."""

    tool: ColabTool
    seconds: float
    name: str = "colab"
    is_remote: bool = True

    def refusal(self, needs: Needs, job: ModelJob | None = None) -> str | None:
        return _refusal(needs, job, self.tool.hardware) or self.tool.refusal()

    def run(self, folder: JobFolder, listener: Listener, known: dict[str, Any] | None = None) -> RouteReport:
        job = folder.job
        session = f"listing-media-{job.id}".lower()[:60]
        began = time.monotonic()
        report = _Reporter(listener)
        try:
            with tempfile.TemporaryDirectory(prefix="colab-") as scratch:
                bundle, notebook, results = (Path(scratch) / each for each in (BUNDLE, "job.ipynb", RESULTS))
                bundle_job(folder, bundle)
                models = weights_wanted(job, self.tool.hardware, on_the_hub)
                notebook.write_bytes(draw_notebook(job, models, by_hand=False))
                if not (known and self.tool.is_running(session, listener)):
                    listener.remember({SESSION: session})
                    listener.say(f"asking Colab for a {self.tool.gpu}")
                    self.tool.start(session, listener)
                    self.tool.upload(session, bundle, listener)
                working = time.monotonic()
                # a session that was found still works on the cells of the attempt before: ours queue behind them
                self.tool.execute(session, notebook, self.seconds, report.hear, listener)
                self._fetch(session, results, report, listener)
                _take(results, folder)
        finally:
            self._give_back(session, listener)
        ended = time.monotonic()
        return RouteReport(report.device or self.tool.gpu, working - began, ended - working, report.peak_memory_mb)

    def _fetch(self, session: str, results: Path, report: _Reporter, listener: Listener) -> None:
        try:
            self.tool.download(session, RESULTS, results, listener)
        except RouteFailed as failed:
            raise RouteFailed(f"{failed}; the notebook's last words: {report.last}", may_succeed_later=True) from failed

    def _give_back(self, session: str, listener: Listener) -> None:
        try:
            self.tool.stop(session)
        except RouteFailed as failed:
            listener.say(f"the Colab session {session} may still run: {failed}; end it with `colab stop -s {session}`")


@dataclass(frozen=True)
class ByHand:
    """Bundle and notebook lie in the store under `exchange/`; a person runs the notebook, the results are awaited."""

    store: Callable[[], MediaStore]
    media_url: str
    seconds: float
    poll_seconds: float = 5.0
    name: str = "colab"
    is_remote: bool = True

    def refusal(self, needs: Needs, job: ModelJob | None = None) -> str | None:
        return _refusal(needs, job, GPUS[FREE_GPU])

    def run(self, folder: JobFolder, listener: Listener, known: dict[str, Any] | None = None) -> RouteReport:
        job, media = folder.job, self.store()
        began = time.monotonic()
        at = f"exchange/colab/{job.id}"
        bundle, notebook, results = (f"{at}/{each}" for each in (BUNDLE, "job.ipynb", RESULTS))
        link = media.link(notebook, self.media_url)
        if not (known and media.exists(notebook)):
            self._lay_out(folder, media, bundle, notebook, results)
            listener.remember({"notebook": notebook, URL: link})
        last = f"put {RESULTS} beside it" if media.is_local else "it hands its results over"
        listener.say(f"waiting for Colab: open {COLAB}, choose File → Upload notebook, take {link} and run it; {last}")
        try:
            self._await(media, results, folder, listener)
        except (JobCancelled, RouteFailed):
            self._clear(media, bundle, notebook, results)
            raise
        self._clear(media, bundle, notebook, results)
        worked = sum(item.seconds for item in folder.result().items)
        device = folder.result().items[0].device
        peak = max(item.peak_memory_mb for item in folder.result().items)
        return RouteReport(device, max(0.0, time.monotonic() - began - worked), worked, peak)

    def _lay_out(self, folder: JobFolder, media: MediaStore, bundle: str, notebook: str, results: str) -> None:
        job = folder.job
        with tempfile.TemporaryDirectory(prefix="colab-") as scratch:
            bundle_job(folder, Path(scratch) / BUNDLE)
            media.write(bundle, Path(scratch) / BUNDLE)
        fetch = media.presigned(bundle, "GET", int(self.seconds))
        hand_over = media.presigned(results, "PUT", int(self.seconds))
        links = Links(fetch, hand_over) if fetch and hand_over else None
        media.write(notebook, draw_notebook(job, weights_wanted(job, GPUS[FREE_GPU], on_the_hub), links=links))

    def _await(self, media: MediaStore, results: str, folder: JobFolder, listener: Listener) -> None:
        gives_up = time.monotonic() + self.seconds
        told = ""
        while time.monotonic() < gives_up:
            listener.stop_if_cancelled()
            if media.exists(results):
                try:
                    _bring_back_stored(media, results, folder)
                    return
                except BadJob as wrong:  # perhaps half copied as yet
                    if str(wrong) != told:
                        listener.say(f"what came isn't this job's results yet: {wrong}")
                        told = str(wrong)
            time.sleep(self.poll_seconds)
        raise RouteFailed(f"no results came from Colab within {self.seconds / 60:.0f} minutes", may_succeed_later=False)

    def _clear(self, media: MediaStore, *keys: str) -> None:
        for key in keys:
            media.delete(key)


def _refusal(needs: Needs, job: ModelJob | None, gpu: Hardware) -> str | None:
    if needs.gpu == "none":
        return NOTHING_FOR_A_GPU
    own = out_of_reach(job, gpu) if job else None
    return f"sessions fetch weights from the hub, and some of {own} lie in a folder of this machine" if own else None


@dataclass
class _Reporter:
    """Hears the worker's lines among all that a notebook prints."""

    listener: Listener
    device: str = ""
    peak_memory_mb: float = 0.0
    last: str = ""
    heard: set[str] = field(default_factory=set)

    def hear(self, line: str) -> None:
        said = ProgressLine.read(line)
        if said is None:
            self.last = line.strip()[:300] or self.last
            return
        self.device = said.device or self.device
        self.peak_memory_mb = max(self.peak_memory_mb, said.peak_memory_mb)
        if said.event == "say":
            self.listener.say(said.text)
        elif said.event == "item" and said.item not in self.heard:
            self.heard.add(said.item)
            self.listener.item_done(said.item)


def _bring_back_stored(media: MediaStore, results: str, folder: JobFolder) -> None:
    """Take the results that lie in the store, where whoever has the notebook's link may put anything."""
    size = media.size(results)
    if size > LARGEST_RESULTS:
        raise BadJob(f"{RESULTS} has {size >> 20} MB, at most {LARGEST_RESULTS >> 20} are taken")
    with media.open_local(results) as arrived:
        bring_back(arrived, folder)


def _take(results: Path, folder: JobFolder) -> None:
    try:
        bring_back(results, folder)
    except BadJob as wrong:
        raise RouteFailed(
            f"what came back from Colab isn't the job's results: {wrong}", may_succeed_later=True
        ) from wrong
