"""A Redis for the module."""

from __future__ import annotations

import pytest

from listing_media_dagster_tests.helpers.warm_workers import running_redis


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running
