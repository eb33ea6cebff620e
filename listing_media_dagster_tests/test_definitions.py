"""The code location: what the UI, the daemon and backfills load."""

import subprocess
import sys

import dagster as dg
import pytest

from listing_media_dagster.definitions import defs
from listing_media_dagster.gpu.executor import gpu_routing_executor
from listing_media_dagster.listing import ASSETS

HEAVY = ("torch", "open_clip", "transformers", "diffusers", "mitsuba", "av", "kaggle", "scipy")


def test_definitions_load_and_hold_together():
    dg.Definitions.validate_loadable(defs)


def test_the_seven_stages_are_described_owned_and_versioned():
    specs = {spec.key.path[-1]: spec for spec in defs.resolve_all_asset_specs()}
    assert set(specs) == set(ASSETS)
    for spec in specs.values():
        assert spec.description
        assert spec.owners
        assert spec.kinds
        assert spec.code_version
        assert spec.group_name == "listing_media"
        assert spec.partitions_def is not None


def test_the_chain_is_the_pipelines():
    graph = defs.resolve_asset_graph()
    order = [key.path[-1] for level in graph.toposorted_asset_keys_by_level for key in level]
    assert order == list(ASSETS)


def test_the_executor_is_set_where_every_launch_uses_it():
    assert defs.executor is gpu_routing_executor


@pytest.mark.parametrize("module", ["listing_media_dagster.definitions", "listing_media_dagster.cli"])
def test_nothing_heavy_is_imported_to_load(module):
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-W", "error::Warning", "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
