"""Fixtures of the tests of models; each lives in the helper that explains it."""

from __future__ import annotations

from listing_media_dagster_tests.helpers.tiny_pipelines import one_torch_thread, small_qwen, tiny  # noqa: F401
