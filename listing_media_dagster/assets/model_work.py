"""A stage's model work: sent on its way by the router, retried as stages are, failed with what people can act on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from listing_media_dagster.assets.chosen_models import ChosenModels, choose_models
from listing_media_dagster.assets.stage_asset import RETRIES
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.gpu.job import BadJob, ItemResult, JobFile, ModelJob, job_file
from listing_media_dagster.gpu.model_router import ModelRouter
from listing_media_dagster.gpu.router import Routed
from listing_media_dagster.gpu.routes.route import RouteFailed
from listing_media_dagster.gpu.routes.table import SLOW_TO_START, UnknownRoute
from listing_media_dagster.gpu.work.chain_order import Link, chain_of, first_key, turns_done
from listing_media_dagster.listing import Listing, StoredObject, fingerprint
from listing_media_dagster.models.catalogue import BadCatalogue
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.models.shortlist import BadWishes
from listing_media_dagster.settings import settings

Take = Callable[[str, ItemResult, Callable[[str], bytes]], None]
"""Gets a finished item: the route it came by, the result, and what reads an output by role."""


@dataclass(frozen=True)
class ModelWork:
    """How a stage comes to the models of its listing: which there are, and jobs done by them."""

    router: ModelRouter
    context: dg.AssetExecutionContext
    stage: StageRun
    listing: Listing
    _chosen: dict[Stage, ChosenModels] = field(default_factory=dict, init=False)

    @property
    def may_start_slowly(self) -> bool:
        """Tell whether any of the routes that the listing's work may take needs minutes to begin with a job."""
        return bool(SLOW_TO_START & set(self.router.policy(self.context, self.listing.routes).routes))

    def choose(self, models: Stage) -> ChosenModels:
        """Return the models for the listing's work. Raises `dg.Failure` for settings that name none there is."""
        if models not in self._chosen:
            self._chosen[models] = self._choose(models)
        return self._chosen[models]

    def _choose(self, models: Stage) -> ChosenModels:
        try:
            policy = self.router.policy(self.context, self.listing.routes)
            chosen = choose_models(models, policy.routes, settings())
        except (BadCatalogue, BadWishes, UnknownRoute) as bad:
            raise dg.Failure(str(bad), allow_retries=False) from None
        self.context.log.info(chosen.listed)
        for damaged in chosen.damaged:
            self.stage.say(f"{models}: passed over {damaged}")
        return chosen

    def do_ahead(self, links: Sequence[Link], files: Mapping[str, bytes]) -> bool:
        """Where jobs take minutes to start, do those of `links` as one: when each is sent, its results are there.

        Says whether they are.
        What wasn't foreseen, or can't be done like this, is done when its own job is sent.
        """
        shelf, routes = self.router.shelf, self.listing.routes
        chain = named_for(chain_of(links), self.stage)
        is_done = all(shelf.holds(first_key(chain, item)) for item in chain.items)
        if is_done or len(links) < 2 or not self.router.starts_slowly(self.context, chain, routes):
            return is_done

        def take(route: str, result: ItemResult, read: Callable[[str], bytes]) -> None:
            try:
                for turn in turns_done(chain, result):
                    outputs = {role: read(name) for role, name in turn.roles.items()}
                    shelf.put(turn.key, route, turn.result, outputs)
            except BadJob as odd:
                self.stage.say(f"not taken: {odd}")

        try:
            _route(self.router, self.context, chain, files, take, self.stage, self.listing)
        except RouteFailed as failed:
            if failed.may_succeed_later:
                raise
            self.stage.say(f"not done in one go: {failed}")
            return False
        return True

    def send(
        self,
        job: ModelJob,
        files: Mapping[str, bytes],
        take: Take,
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

    def __or__(self, other: StoredFiles) -> StoredFiles:
        both = StoredFiles(self._stage)
        both._readers = {**self._readers, **other._readers}
        return both

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


def _route(
    router: ModelRouter,
    context: dg.AssetExecutionContext,
    job: ModelJob,
    files: Mapping[str, bytes],
    take: Take,
    stage: StageRun,
    listing: Listing,
) -> Routed:
    return router.run(
        context,
        job,
        files,
        take=take,
        say=stage.tell_step,
        listing_routes=listing.routes,
        is_last_attempt=context.retry_number >= RETRIES,
    )


def run_job(
    router: ModelRouter,
    context: dg.AssetExecutionContext,
    job: ModelJob,
    files: Mapping[str, bytes],
    take: Take,
    stage: StageRun,
    listing: Listing,
) -> Routed:
    """Have the job done; `take` gets every finished item as soon as it is here.

    Raises `dg.Failure` naming the items that failed, after all the others were taken.
    """
    try:
        routed = _route(router, context, job, files, take, stage, listing)
    except UnknownRoute as unknown:
        raise dg.Failure(str(unknown), allow_retries=False) from None
    failed = [item for item in routed.result.items if item.outcome == "failed"]
    if failed:
        reasons = "; ".join(f"{item.item_id}: {item.reason}" for item in failed[:5])
        raise dg.Failure(f"{len(failed)} of {len(job.items)} photos failed: {reasons}", allow_retries=False)
    return routed
