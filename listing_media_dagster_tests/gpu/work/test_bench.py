"""The bench at which a worker's functions work."""

import pytest

from listing_media_dagster.gpu.work.bench import Bench
from listing_media_dagster.models.warm import WarmModels


def test_a_device_that_isnt_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(LookupError, match=r"no device cuda:99 for this process; there is .*cpu"):
        _ = Bench("cuda:99", WarmModels(), tmp_path).hardware
