"""A stage's model work: sent on its way by the router, retried as stages are, failed with what people can act on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dagster as dg

from listing_media_dagster.assets.stage_asset import RETRIES
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.gpu.job import ItemResult, ModelJob
from listing_media_dagster.gpu.model_router import ModelRouter
from listing_media_dagster.gpu.router import Routed
from listing_media_dagster.gpu.routes.table import UnknownRoute
from listing_media_dagster.listing import Listing


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
