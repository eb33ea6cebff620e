"""A stage's model work: sent on its way by the router, retried as stages are, failed with what people can act on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from listing_media_dagster.assets.chosen_models import ChosenModels, choose_models
from listing_media_dagster.assets.stage_asset import RETRIES
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.gpu.job import ItemResult, JobFile, ModelJob, job_file
from listing_media_dagster.gpu.model_router import ModelRouter
from listing_media_dagster.gpu.router import Routed
from listing_media_dagster.gpu.routes.table import UnknownRoute
from listing_media_dagster.listing import Listing, StoredObject, fingerprint
from listing_media_dagster.models.catalogue import BadCatalogue, Stage
from listing_media_dagster.models.shortlist import BadWishes
from listing_media_dagster.settings import settings


@dataclass(frozen=True)
class ModelWork:
    """How a stage comes to the models of its listing: which there are, and jobs done by them."""

    router: ModelRouter
    context: dg.AssetExecutionContext
    stage: StageRun
    listing: Listing

    def choose(self, models: Stage) -> ChosenModels:
        """Return the models for the listing's work. Raises `dg.Failure` for settings that name none there is."""
        try:
            policy = self.router.policy(self.context, self.listing.routes)
            chosen = choose_models(models, policy.routes, settings())
        except (BadCatalogue, BadWishes, UnknownRoute) as bad:
            raise dg.Failure(str(bad), allow_retries=False) from None
        self.context.log.info(chosen.listed)
        for damaged in chosen.damaged:
            self.stage.say(f"{models}: passed over {damaged}")
        return chosen

    def send(
        self,
        job: ModelJob,
        files: Mapping[str, bytes],
        take: Callable[[str, ItemResult, Callable[[str], bytes]], None],
    ) -> Routed:
        """Have the job done, as `run_job` does."""
        return run_job(self.router, self.context, job, files, take, self.stage, self.listing)


class StoredFiles(Mapping[str, bytes]):
    """A job's inputs by path; a stored one is read when it is asked for, so a listing needn't fit into memory."""

    def __init__(self, stage: StageRun) -> None:
        self._stage = stage
        self._readers: dict[str, Callable[[], bytes]] = {}

    def add(self, name: str, stored: StoredObject) -> JobFile:
        """Return how the job names `stored`, a JPEG."""
        file = JobFile(path=f"inputs/{name}.jpg", sha256=stored.sha256, size=stored.size)
        self._readers[file.path] = lambda: self._stage.media.read_verified(stored)
        return file

    def add_bytes(self, name: str, data: bytes) -> JobFile:
        file = job_file(f"inputs/{name}", data)
        self._readers[file.path] = lambda: data
        return file

    def __getitem__(self, path: str) -> bytes:
        return self._readers[path]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


def named_for(job: ModelJob, stage: StageRun) -> ModelJob:
    """Return the job with an id that the same work of the same listing will have again, and no other."""
    keys = [job.item_key(item) for item in job.items]
    digest = fingerprint(store=stage.media.url, listing=stage.listing_id, asset=stage.asset, keys=keys)
    return job.model_copy(update={"id": f"{job.kind.value}-{digest[:24]}"})


def run_job(
    router: ModelRouter,
    context: dg.AssetExecutionContext,
    job: ModelJob,
    files: Mapping[str, bytes],
    take: Callable[[str, ItemResult, Callable[[str], bytes]], None],
    stage: StageRun,
    listing: Listing,
) -> Routed:
    """Have the job done; `take` gets every finished item as soon as it is here.

    Raises `dg.Failure` naming the items that failed, after all the others were taken.
    """
    try:
        routed = router.run(
            context,
            job,
            files,
            take=take,
            say=stage.tell_step,
            listing_routes=listing.routes,
            is_last_attempt=context.retry_number >= RETRIES,
        )
    except UnknownRoute as unknown:
        raise dg.Failure(str(unknown), allow_retries=False) from None
    failed = [item for item in routed.result.items if item.outcome == "failed"]
    if failed:
        reasons = "; ".join(f"{item.item_id}: {item.reason}" for item in failed[:5])
        raise dg.Failure(f"{len(failed)} of {len(job.items)} photos failed: {reasons}", allow_retries=False)
    return routed
