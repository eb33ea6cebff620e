"""The job that takes one listing from its drop to its package, and the tags its runs carry."""

from __future__ import annotations

import dagster as dg

PARTITION_TAG = "dagster/partition"
PRIORITY_TAG = "dagster/priority"
DROP_TAG = "listing_media/drop"  # fingerprint of the drop the run was requested for; re-executions keep it
CODE_TAG = "listing_media/code"  # digest of the assets' code versions when automation requested the run

listing_media_job = dg.define_asset_job(
    "listing_media",
    selection=dg.AssetSelection.groups("listing_media"),
    description="The whole chain for one listing: photos in the inbox become its labelled package.",
)
