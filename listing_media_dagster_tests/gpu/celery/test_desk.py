"""A worker's desk when things go wrong around the work: nobody waits for ever for a job that nobody does."""

from __future__ import annotations

import pytest

from listing_media_dagster.gpu.celery import desk as desks
from listing_media_dagster.gpu.celery.board import Board, BrokerDown, WorkerCard
from listing_media_dagster.gpu.celery.desk import Desk
from listing_media_dagster.gpu.celery.shelf import Shelf
from listing_media_dagster.gpu.routes.celery import ticket_for
from listing_media_dagster.gpu.work.bench import Bench
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster.store.media_store import MediaStore
from listing_media_dagster_tests.helpers.jobs import write_enhance_job


@pytest.fixture
def media(tmp_path):
    return MediaStore(str(tmp_path / "media"))


def desk_at(board, media, tmp_path):
    return Desk(board, media, Bench("cpu", WarmModels(), tmp_path), WorkerCard("worker", "cpu"), tmp_path / "work")


def put_up(board, media, folder):
    ticket = ticket_for(folder)
    Shelf(media, ticket.name).put_up(folder)
    board.offer(ticket)
    return ticket


def test_a_job_that_a_worker_cannot_keep_is_let_go_with_the_reason(server, media, tmp_path):
    board = Board(server.url)
    ticket = put_up(board, media, write_enhance_job(tmp_path / "unkept", 1, job_id="unkept"))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "warm").write_text("a file where the folder of jobs would be")
    assert desk_at(board, media, tmp_path).work_off(ticket) == []
    status = board.status(ticket.name)
    assert (status.state, status.held, status.again) == ("failed", False, True)
    assert "its worker worker failed: " in status.reason and "warm" in status.reason


def test_jobs_taken_along_are_done_although_the_broker_went_away_before_the_next(server, media, tmp_path, monkeypatch):
    monkeypatch.setattr(desks, "_SECONDS_TO_FIND_THE_BROKER", 0)
    board = Board(server.url)
    first, second, third = (
        put_up(board, media, write_enhance_job(tmp_path / name, 1, job_id=name)) for name in ("one", "two", "three")
    )

    class Leaving(Board):
        def take(self, ticket, worker):
            if ticket == third:
                raise BrokerDown("the broker doesn't answer")
            return super().take(ticket, worker)

    assert desk_at(Leaving(server.url), media, tmp_path).work_off(first) == []
    assert [board.status(ticket.name).state for ticket in (first, second, third)] == ["done", "done", "queued"]


def test_of_jobs_left_over_those_before_one_that_cannot_be_let_go_are_handed_on(server, media, tmp_path, monkeypatch):
    board = Board(server.url)
    first, second = (
        put_up(board, media, write_enhance_job(tmp_path / name, 1, job_id=name)) for name in ("told", "untold")
    )
    desk = desk_at(board, media, tmp_path)
    desk._is_stopping = lambda: True
    end = board.end

    def refuse_once(name, worker, state, reason="", *, again=False):
        if name == second.name and state == "queued":
            raise OSError("no room")
        end(name, worker, state, reason, again=again)

    monkeypatch.setattr(board, "end", refuse_once)
    assert desk.work_off(first) == [first]
    assert board.status(first.name).state == "queued"
