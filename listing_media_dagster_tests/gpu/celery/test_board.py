"""What Redis knows of jobs: who holds one, and what becomes of it when its worker dies at a bad moment."""

from __future__ import annotations

import pytest
import redis

from listing_media_dagster.gpu.celery.board import PREFIX, Board, Ticket


@pytest.fixture
def board(server):
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    return Board(server.url)


JOB = Ticket("a-job", "0" * 64, "a-group")


def test_a_job_whose_worker_died_while_it_was_being_cancelled_can_be_put_up_again(board):
    board.offer(JOB)
    assert board.take(JOB, "worker") == "taken 1"
    board.cancel(JOB.name)
    assert not board.offer(JOB), "its worker is still at it"
    board.release(JOB.name, "worker")
    assert board.offer(JOB)
    assert board.take(JOB, "another") == "taken 1"


def test_a_worker_that_lost_a_job_to_another_has_no_say_in_how_it_ends(board):
    board.offer(JOB)
    board.take(JOB, "paused")
    board.release(JOB.name, "paused")
    board.take(JOB, "another")
    board.end(JOB.name, "paused", "failed", "it found no disk")
    status = board.status(JOB.name)
    assert (status.state, status.held, status.worker) == ("running", True, "another")
    board.end(JOB.name, "another", "done")
    assert board.status(JOB.name).state == "done" and not board.status(JOB.name).held


def test_of_two_workers_only_the_dead_ones_hold_is_dropped(board):
    board.offer(JOB)
    board.take(JOB, "alive")
    board.release(JOB.name, "dead")
    assert board.holder(JOB.name)[0] == "alive"


def test_what_a_worker_says_of_a_job_that_redis_forgot_is_forgotten_in_the_end(board, server):
    assert board.renew(JOB.name, "worker") == "running"
    with redis.Redis.from_url(server.url) as client:
        assert client.ttl(f"{PREFIX}job:{JOB.name}") > 0
