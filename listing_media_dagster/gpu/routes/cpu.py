"""cpu: the work is done in this process, without a GPU."""

from __future__ import annotations

from typing import Any

from listing_media_dagster.gpu.job import JobFolder, ModelJob, Needs
from listing_media_dagster.gpu.routes.here import work_here
from listing_media_dagster.gpu.routes.route import Listener, RouteReport
from listing_media_dagster.settings import Settings


class CpuRoute:
    name = "cpu"
    is_remote = False

    def __init__(self, at: Settings) -> None:
        self._at = at

    def refusal(self, needs: Needs, job: ModelJob | None = None) -> str | None:
        return "a GPU is required" if needs.gpu == "required" else None

    def run(self, folder: JobFolder, listener: Listener, known: dict[str, Any] | None = None) -> RouteReport:
        return work_here(folder, listener, "cpu", self._at)


def open_route(at: Settings) -> CpuRoute:
    return CpuRoute(at)
