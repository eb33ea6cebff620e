"""comfyui: the work is done here, and its models are workflows on a ComfyUI server. Photos go there as its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from listing_media_dagster.gpu.job import JobFolder, ModelJob, Needs
from listing_media_dagster.gpu.job_models import models_named
from listing_media_dagster.gpu.routes.here import bench_here, work_at
from listing_media_dagster.gpu.routes.route import Listener, RouteFailed, RouteReport
from listing_media_dagster.models.comfyui.pictures import ComfyAnimator, ComfyEditor, ComfyPresenter, Lora
from listing_media_dagster.models.comfyui.server import ComfyFailed, ComfyUI
from listing_media_dagster.models.comfyui.workflow import BadWorkflow, Task, Workflow, load_workflow
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.settings import Settings

COMFYUI = "comfyui"
EDITED = (Stage.STAGING, Stage.DECLUTTER, Stage.ENHANCEMENT)


class ComfyRoute:
    name = COMFYUI
    is_remote = True

    def __init__(self, at: Settings) -> None:
        self._at = at

    def refusal(self, needs: Needs, job: ModelJob | None = None) -> str | None:
        if self._at.comfyui_url is None:
            return "there is no server: set LISTING_MEDIA_COMFYUI_URL"
        try:
            served = {model.entry.id: model for model in served_models(self._at).values()}
            server = server_of(self._at)
            unused = self._at.comfyui_lora and not (
                any(model.takes_lora for model in served.values()) or presenter_of(self._at).takes_lora
            )
        except (BadWorkflow, ValueError) as wrong:
            return str(wrong)
        meant = [model for name, model in served.items() if job is None or name in _alternatives(job)]
        if needs.gpu == "none" or not meant:
            return "nothing in it is for a workflow on the server"
        if unused:
            return "LISTING_MEDIA_COMFYUI_LORA is set, but none of the workflows has a place {{lora}} for it"
        if job and (short := next((model for model in meant if model.takes_lora and not model.lora), None)):
            return f"{short.entry.title} has a place for a LoRA: set LISTING_MEDIA_COMFYUI_LORA or another workflow"
        return server.refusal()

    def run(self, folder: JobFolder, listener: Listener, known: dict[str, Any] | None = None) -> RouteReport:
        """Do the job. What an earlier attempt had the server draw is fetched, not drawn again.

        Where items failed and the server has gone, it is the route that failed: the items are done by a later attempt.
        """
        server = server_of(self._at)
        served = {model.entry.id: model for model in served_models(self._at).values()}
        bench = replace(bench_here("cpu", self._at), served=served)
        try:
            device = f"ComfyUI: {server.device()}"
        except ComfyFailed as gone:
            raise RouteFailed(str(gone), may_succeed_later=gone.may_succeed_later) from gone
        report = work_at(bench, folder, listener)
        if any(item.outcome == "failed" for item in folder.result().items) and (refusal := server.refusal()):
            raise RouteFailed(f"items failed, and now {refusal}", may_succeed_later=True)
        return replace(report, device=device)


def _alternatives(job: ModelJob) -> set[str]:
    return {name for named in models_named(job) for name in named.one_of}


def server_of(at: Settings) -> ComfyUI:
    """Return the server that the settings name. Raises ValueError for an address that can't be one."""
    if at.comfyui_url is None:
        raise ValueError("no ComfyUI server is named: set LISTING_MEDIA_COMFYUI_URL")
    key = at.comfyui_api_key.get_secret_value() if at.comfyui_api_key else None
    return ComfyUI(at.comfyui_url.rstrip("/"), key)


def served_models(at: Settings) -> Mapping[Stage, ComfyEditor | ComfyAnimator]:
    """Return the model of every stage that the server's workflows can do. Raises `BadWorkflow` or ValueError."""
    server = server_of(at)
    editor = ComfyEditor(server, _workflow(at.comfyui_edit, Task.EDIT), lora_of(at))
    animator = ComfyAnimator(server, _workflow(at.comfyui_animate, Task.ANIMATE), lora_of(at))
    return {**dict.fromkeys(EDITED, editor), Stage.ANIMATION: animator}


def presenter_of(at: Settings) -> ComfyPresenter:
    """Return the model of a person who speaks. Raises `BadWorkflow` or ValueError."""
    return ComfyPresenter(server_of(at), _workflow(at.comfyui_present, Task.PRESENT), lora_of(at))


def lora_of(at: Settings) -> Lora | None:
    return Lora(at.comfyui_lora, at.comfyui_lora_strength) if at.comfyui_lora else None


@lru_cache(maxsize=16)
def _workflow(which: str, task: Task) -> Workflow:
    return load_workflow(which, task)


def open_route(at: Settings) -> ComfyRoute:
    return ComfyRoute(at)
