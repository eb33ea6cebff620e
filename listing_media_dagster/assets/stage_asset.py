"""What every asset of the pipeline has in common: one listing a partition, a photo set as its value, its checks."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import dagster as dg

from listing_media_dagster.listing import PhotoSet
from listing_media_dagster.partitions import listings

GROUP = "listing_media"
OWNERS = ("team:listing-media",)
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
            # Files and servers fail for a moment; whether a photo is good is never a matter of trying again.
            retry_policy=dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.FULL),
        )(function)

    return decorate
