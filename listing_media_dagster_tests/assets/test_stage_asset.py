"""When a stage is tried again, and when not."""

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from listing_media_dagster.assets import stage_asset
from listing_media_dagster.store.objects import StoreError


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(stage_asset, "FIRST_PAUSE_SECONDS", 0.0)


def attempts(errors):
    """Materialize an asset that meets `errors` one after the other; return (attempts made, whether it succeeded)."""
    made = []

    def stage(context: dg.AssetExecutionContext) -> None:
        made.append(context.retry_number)
        if len(made) <= len(errors):
            raise errors[len(made) - 1]

    result = dg.materialize(
        [dg.asset(stage_asset.trying_again(stage))],
        raise_on_error=False,
        instance=dg.DagsterInstance.ephemeral(),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    return len(made), result.success


def test_a_store_that_fails_for_a_moment_is_asked_again():
    assert attempts([StoreError("busy"), ConnectionResetError("gone")]) == (3, True)


def test_a_store_that_stays_away_fails_the_stage_at_last():
    assert attempts([StoreError("busy")] * 9) == (1 + stage_asset.RETRIES, False)


@pytest.mark.parametrize("error", [ValueError("a mistake in the code"), dg.Failure("no photos", allow_retries=False)])
def test_what_would_fail_again_is_not_tried_again(error):
    assert attempts([error]) == (1, False)


@pytest.mark.parametrize("interrupt", [DagsterExecutionInterruptedError, KeyboardInterrupt])
def test_an_interrupted_stage_stays_interrupted(interrupt):
    assert attempts([interrupt()]) == (1, False)
