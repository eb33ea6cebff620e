"""The kaggle route's refusals, and what it makes of the settings; none of it needs the network."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from listing_media_dagster.gpu.job import Item, ModelJob, ModelRef, Needs, WorkKind
from listing_media_dagster.gpu.kaggle.outbox import Outbox
from listing_media_dagster.gpu.kaggle.shared_sessions import SharedSessions
from listing_media_dagster.gpu.kaggle.shipment import Limits, Shipment, Ticket
from listing_media_dagster.gpu.routes.kaggle import KaggleRoute, has_credentials, open_route, sessions_of
from listing_media_dagster.gpu.routes.table import open_route as open_by_name
from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.settings import Settings

HOUR = 3600.0
SIGNED_IN = {"KAGGLE_API_TOKEN": "secret", "HOME": "/nowhere"}
REQUIRED = Needs(gpu="required", vram_gb=10)


def route(
    tmp_path: Path, hours_left: float = 20, environment: dict[str, str] = SIGNED_IN, **limits: Any
) -> KaggleRoute:
    """A route to an account that was just asked for its GPU time."""
    sessions = SharedSessions(Outbox(tmp_path), Limits(**limits), environment=environment)
    quota = {"used_seconds": (30 - hours_left) * HOUR, "allowed_seconds": 30 * HOUR, "refreshes_at": None}
    sessions.outbox.keep_quota({"asked_at": time.time(), "quota": quota})
    return KaggleRoute(sessions, environment)


def job(model: str | None = None, items: int = 2, carries: tuple[dict[str, Any], ...] = ()) -> ModelJob:
    ref = ModelRef(id=model) if model else None
    wanted = tuple(Item(id=f"i{n}") for n in range(items))
    return ModelJob(id="j", kind=WorkKind.STAGE, model=ref, items=wanted, entries=carries)


def _in_a_folder(model: str) -> tuple[dict[str, Any], ...]:
    """What a job carries of a model whose weights no hub has."""
    shipped = catalogue_entry("depth-anything-v2-small").model_dump(mode="json")
    (part,) = shipped["parts"]
    file = {"model.safetensors": {"sha256": "0" * 64, "size": 9}}
    part |= {"repo": None, "revision": None, "folder": "own/0", "files": list(file), "digests": file}
    return ({**shipped, "id": model},)


OURS = _in_a_folder("our-depth")


@pytest.mark.parametrize(
    ("given", "needs", "asked", "refusal"),
    [
        ({}, REQUIRED, None, None),
        ({}, REQUIRED, job(), None),
        ({"environment": {"HOME": "/nowhere"}}, REQUIRED, None, "no credentials: set KAGGLE_API_TOKEN, or"),
        ({"hours_left": 0.3}, REQUIRED, None, "0.3 of 30 GPU hours left"),
        ({"hours_left": 1}, REQUIRED, job(items=400), "1.0 of 30 GPU hours left"),
        ({}, Needs(gpu="required", vram_gb=24), None, "needs 24 GB of VRAM"),
        ({}, REQUIRED, job("sdxl-union"), "`listing-media kaggle setup sdxl-union` uploads them"),
        ({"internet": True}, REQUIRED, job("sdxl-union"), None),
        ({"datasets": ("a/weights",)}, REQUIRED, job("sdxl-union"), None),
        ({"internet": True}, REQUIRED, job("no-such-model"), "no-such-model is in no catalogue"),
        ({"internet": True}, REQUIRED, job("our-depth", carries=OURS), "`listing-media kaggle setup our-depth`"),
        ({"datasets": ("a/weights",)}, REQUIRED, job("our-depth", carries=OURS), None),
    ],
)
def test_refusals(tmp_path: Path, given: Any, needs: Needs, asked: ModelJob | None, refusal: str | None) -> None:
    said = route(tmp_path, **given).refusal(needs, asked)
    assert said == refusal if refusal is None else said is not None and refusal in said


def test_without_the_client_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "listing-media-dagster[kaggle]" in (route(tmp_path).refusal(REQUIRED) or "")


def test_a_full_next_session_refuses_work_that_can_do_without_a_gpu(tmp_path: Path) -> None:
    full = route(tmp_path, session_seconds=3600, sessions=1)
    outbox = full.sessions.outbox
    big = Ticket(id="b" * 8, job_id="big", kind=WorkKind.STAGE, items=200, submitted_at=0)
    outbox.record(Shipment(id="0" * 8, owner="alice", tickets=(big,), timeout_seconds=3600, created_at=0))
    waiting = replace(full, sessions=replace(full.sessions, outbox=_Waiting(outbox.root)))
    said = waiting.refusal(Needs(gpu="optional"))
    assert said == "1 of 1 sessions are running and the next one is full"
    assert waiting.refusal(REQUIRED) is None


class _Waiting(Outbox):
    def waiting(self) -> list[Ticket]:
        return [Ticket(id="w" * 8, job_id="wait", kind=WorkKind.STAGE, items=200, submitted_at=0)]


def test_credentials_are_looked_for_where_the_client_does(tmp_path: Path) -> None:
    assert has_credentials({"KAGGLE_USERNAME": "alice", "KAGGLE_KEY": "k"})
    assert not has_credentials({"KAGGLE_USERNAME": "alice", "HOME": str(tmp_path)})
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle" / "access_token").write_text("token")
    assert has_credentials({"HOME": str(tmp_path)})


def test_settings_become_limits_and_wrong_ones_are_named(tmp_path: Path) -> None:
    at = Settings(
        kaggle_dir=tmp_path, kaggle_session_minutes=120, kaggle_datasets="alice/w-one, alice/w-two",
        kaggle_models="google/gemma/pytorch/2b/3", _env_file=None,
    )  # fmt: skip
    limits = sessions_of(at).limits
    assert (limits.session_seconds, limits.datasets) == (7200, ("alice/w-one", "alice/w-two"))
    assert limits.models == ("google/gemma/pytorch/2b/3",) and not limits.internet
    with pytest.raises(ValueError, match="LISTING_MEDIA_KAGGLE_DATASETS names 'w-one'"):
        sessions_of(Settings(kaggle_datasets="w-one", _env_file=None))


def test_the_route_opens_by_its_name(tmp_path: Path) -> None:
    opened = open_by_name("kaggle", Settings(kaggle_dir=tmp_path, _env_file=None))
    assert (opened.name, opened.is_remote) == ("kaggle", True)
    assert isinstance(opened, type(open_route(Settings(kaggle_dir=tmp_path, _env_file=None))))
