"""Fixtures every test may ask for; each lives in the helper that explains it."""

from __future__ import annotations

import os
import tempfile

# Before anything reads them: tests must not send telemetry, nor find somebody's AWS credentials.
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
# A staged room takes seconds: tests name those that are to be staged.
os.environ["LISTING_MEDIA_STAGE"] = "named"
# Jobs that tests leave off are nobody else's.
os.environ.setdefault("LISTING_MEDIA_WORK_DIR", tempfile.mkdtemp(prefix="listing-media-work-"))

from listing_media_dagster_tests.helpers.servers import (  # noqa: F401
    fresh_postgres_url,
    postgres_server,
    postgres_url,
    s3_proxy,
    s3_server,
    s3_store_url,
)
