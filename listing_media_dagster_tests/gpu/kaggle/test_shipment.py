"""Which jobs share a session, for how long, and what it is called."""

from __future__ import annotations

import pytest
from slugify import slugify

from listing_media_dagster.gpu.job import Needs, WorkKind
from listing_media_dagster.gpu.kaggle.cargo import requirements
from listing_media_dagster.gpu.kaggle.shipment import (
    Part,
    Shipment,
    Ticket,
    choose_tickets,
    estimate_seconds,
    learned_pace,
    session_timeout,
    why_too_big,
    why_too_little_time,
)

HOUR = 3600.0


def ticket(
    name: str, items: int = 8, kind: WorkKind = WorkKind.STAGE, model: str | None = "m", at: float = 0
) -> Ticket:
    return Ticket(id=name.ljust(8, "0"), job_id=name, kind=kind, model=model, items=items, submitted_at=at)


def test_ten_listings_fit_one_session_as_long_as_their_estimate_does() -> None:
    waiting = [ticket(f"home{n}", at=n) for n in range(10)]
    assert choose_tickets(waiting, 9 * HOUR, {}) == tuple(waiting)
    two_hours = choose_tickets(waiting, HOUR, {})
    assert 0 < len(two_hours) < 10
    assert estimate_seconds(two_hours, {}) <= 0.8 * HOUR


def test_the_oldest_job_always_goes_and_smaller_later_ones_fill_what_is_left() -> None:
    huge = ticket("huge", items=10_000, at=1)
    small = ticket("small", items=2, at=2)
    assert choose_tickets([small, huge], HOUR, {}) == (huge,)
    big = ticket("big", items=30, at=1)
    assert choose_tickets([ticket("again", items=30, at=2), small, big], HOUR, {}) == (big, small)


def test_a_model_is_loaded_once_however_many_jobs_use_it() -> None:
    one = estimate_seconds([ticket("one", items=2)], {})
    assert estimate_seconds([ticket("one", items=2), ticket("two", items=2)], {}) - one == pytest.approx(90)
    other = estimate_seconds([ticket("one", items=2), ticket("two", items=2, model="n")], {})
    assert other - one == pytest.approx(90 + 180)


def test_a_chain_takes_and_needs_what_its_steps_do() -> None:
    steps = (Part(kind=WorkKind.STAGE, model="m", items=2), Part(kind=WorkKind.SCORE, model="clip", items=8))
    chain = ticket("chain", kind=WorkKind.CHAIN, model=None).model_copy(update={"steps": steps})
    alone = [
        ticket("stage", items=2),
        ticket("score", items=8, kind=WorkKind.SCORE, model="clip"),
    ]
    assert estimate_seconds([chain], {}) == estimate_seconds(alone, {})
    assert requirements([chain]) == requirements(alone)


def test_what_sessions_showed_replaces_the_guess() -> None:
    pace = learned_pace({}, "stage/m", 20.0)
    assert pace == {"stage/m": 20.0}
    assert learned_pace(pace, "stage/m", 10.0) == {"stage/m": 15.0}
    assert estimate_seconds([ticket("one")], pace) < estimate_seconds([ticket("one")], {})


def test_every_session_has_a_time_limit_and_it_never_exceeds_what_is_left_of_the_quota() -> None:
    assert session_timeout([ticket("one", items=1)], 9 * HOUR, {}) == 1620
    assert session_timeout([ticket("many", items=9000)], 9 * HOUR, {}) == 9 * HOUR
    assert session_timeout([ticket("one", items=1)], 1300, {}) == 1300


def test_work_leaves_off_before_the_session_ends() -> None:
    long = Shipment(id="0123456789ab", owner="alice", tickets=(ticket("a"),), timeout_seconds=32400, created_at=0)
    assert long.work_seconds == 32400 - 600
    assert long.model_copy(update={"timeout_seconds": 1000}).work_seconds == 800


def test_title_slug_and_id_agree_as_kaggle_wants_them() -> None:
    shipment = Shipment(id="0123456789ab", owner="alice", tickets=(ticket("a"),), timeout_seconds=3600, created_at=0)
    assert slugify(shipment.title) == shipment.slug
    assert 6 <= len(shipment.slug) <= 50 and 6 <= len(shipment.title) <= 50
    assert shipment.ref == "alice/listing-media-job-0123456789ab"


def test_refusals_say_what_would_change_them() -> None:
    assert why_too_little_time(0.3 * HOUR, 30 * HOUR, 1800) == "0.3 of 30 GPU hours left"
    assert why_too_little_time(2 * HOUR, 30 * HOUR, 1800) is None
    assert why_too_big(Needs(gpu="required", vram_gb=24)) == "needs 24 GB of VRAM; Kaggle's T4s have 14.5"
    assert why_too_big(Needs(gpu="required", vram_gb=12)) is None


def test_a_session_is_given_what_its_jobs_import() -> None:
    scoring = requirements([ticket("a", kind=WorkKind.SCORE, model=None)])
    assert "open_clip" in scoring and "diffusers" not in scoring
    assert requirements([ticket("a")])["diffusers"].startswith("diffusers==")
    assert "mitsuba" in requirements([ticket("a", model=None)])
    assert "av" in requirements([ticket("a", kind=WorkKind.ANIMATE)])
    assert all("simplejpeg" in requirements([ticket("a", kind=kind)]) for kind in WorkKind)
