"""Image editors by diffusion: one wrapper for every family of pipelines that the catalogue has."""

from __future__ import annotations

from functools import partial

from listing_media_dagster.models.diffusion.editor import DiffusionEditor
from listing_media_dagster.models.diffusion.speedups import Speedups, speedups_for
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.networks import dtype_on
from listing_media_dagster.models.pipelines import load_pipeline
from listing_media_dagster.models.weights_folder import BadWeights, WeightsFolder

__all__ = ["DiffusionEditor", "Speedups", "editor_for", "speedups_for"]


def editor_for(
    entry: CatalogueEntry,
    weights: WeightsFolder,
    hardware: Hardware,
    *,
    kit: str | None = None,
    speedups: Speedups | None = None,
    batch: int | None = None,
    allow_test_weights: bool = False,
) -> DiffusionEditor:
    """Return the editor that `entry` is, with the LoRAs for the design kit `kit`; it loads when first used.

    Raises `BadWeights` for weights made for tests (unless `allow_test_weights`), `ModelFailed` if `hardware` has none
    of the entry's number formats, `LookupError` if the entry doesn't edit pictures.
    """
    if (entry.test_only or weights.card.test_only) and not allow_test_weights:
        raise BadWeights(f"the weights in {weights.path} were made for tests: what they draw is no picture of a room")
    return DiffusionEditor(
        entry,
        weights.weights_sha256,
        hardware,
        partial(load_pipeline, entry, weights, dtype_on(entry, hardware), kit),
        speedups_for(hardware) if speedups is None else speedups,
        batch,
    )
