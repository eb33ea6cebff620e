"""What every asset of the pipeline has in common: one listing a partition, a photo set as its value, its checks."""

import functools
import random
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import dagster as dg

from listing_media_dagster.gpu.routes.route import RouteFailed
from listing_media_dagster.listing import PhotoSet
from listing_media_dagster.partitions import listings
from listing_media_dagster.store.objects import StoreError

GROUP = "listing_media"
OWNERS = ("team:listing-media",)
RETRIES = 3
FIRST_PAUSE_SECONDS = 2.0
PhotoSetType = dg.PythonObjectDagsterType(PhotoSet, name="PhotoSet", description="a listing's photos after one stage")


def stage_asset(
    *,
    description: str,
    kinds: set[str],
    code_version: str,
    checks: Mapping[str, str] | None = None,
    blocking: frozenset[str] = frozenset(),
    gpu: Literal["optional", "required"] | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make a stage of the pipeline out of the function it decorates, which names the asset.

    `checks` maps the checks that the stage itself reports (no step of their own) to their descriptions; those in
    `blocking` stop what follows in the run. `gpu` tells the executor that the stage's model work wants a device.
    """

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        with warnings.catch_warnings():
            # Partitioned checks are a preview in 1.13, which is why dagster is pinned; without them one bad listing
            # would speak for all.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            specs = [
                dg.AssetCheckSpec(
                    name,
                    asset=function.__name__,
                    partitions_def=listings,
                    description=text,
                    blocking=name in blocking,
                )
                for name, text in (checks or {}).items()
            ]
        return dg.asset(
            partitions_def=listings,
            group_name=GROUP,
            owners=list(OWNERS),
            description=description,
            kinds=kinds,
            code_version=code_version,
            check_specs=specs,
            io_manager_key="photo_sets",
            dagster_type=PhotoSetType,
            op_tags={"listing_media/gpu": gpu} if gpu else {},
        )(trying_again(function))

    return decorate


def trying_again(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` so that the step is tried again, with growing pauses, when files, servers or routes fail it.

    Whether a photo is good is never a matter of trying again. Dagster's own `RetryPolicy` would also try again after a
    person has pressed Ctrl-C or terminated the run.
    """

    @functools.wraps(function)
    def run(context: dg.AssetExecutionContext, *given: Any, **named: Any) -> Any:
        try:
            return function(context, *given, **named)
        except RouteFailed as failed:
            if not failed.may_succeed_later:
                raise dg.Failure(str(failed), allow_retries=False) from failed
            raise _later(context) from failed
        except (StoreError, OSError) as failed:
            raise _later(context) from failed

    return run


def _later(context: dg.AssetExecutionContext) -> dg.RetryRequested:
    pause = random.uniform(0, FIRST_PAUSE_SECONDS * 2**context.retry_number)
    return dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=pause)
