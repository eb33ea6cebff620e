"""The whole code location on one page."""

import dagster as dg

from listing_media_dagster.assets.clip_scores import clip_scores
from listing_media_dagster.assets.enhanced_photos import enhanced_photos
from listing_media_dagster.assets.listing_package import listing_package
from listing_media_dagster.assets.preprocessed_photos import preprocessed_photos
from listing_media_dagster.assets.raw_photos import raw_photos
from listing_media_dagster.assets.staged_photos import staged_photos
from listing_media_dagster.assets.tour_video import tour_video
from listing_media_dagster.automation.archive import archive_old_listings
from listing_media_dagster.automation.jobs import listing_media_job
from listing_media_dagster.automation.nightly import nightly_backfill
from listing_media_dagster.automation.uploads import listing_uploads
from listing_media_dagster.gpu.executor import gpu_routing_executor
from listing_media_dagster.gpu.model_router import ModelRouter
from listing_media_dagster.store.photo_sets import MediaStoreResource, PhotoSetIOManager

media = MediaStoreResource()

defs = dg.Definitions(
    assets=[
        raw_photos,
        preprocessed_photos,
        enhanced_photos,
        staged_photos,
        clip_scores,
        tour_video,
        listing_package,
    ],
    jobs=[listing_media_job],
    sensors=[listing_uploads],
    schedules=[nightly_backfill, archive_old_listings],
    resources={"media": media, "photo_sets": PhotoSetIOManager(media=media), "router": ModelRouter()},
    # Set here, not on the job: what the UI, backfills and automation launch doesn't use a job's own executor.
    executor=gpu_routing_executor,
)
