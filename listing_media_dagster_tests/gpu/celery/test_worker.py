"""Warm workers without a GPU to work on: they wait for one, take no job meanwhile, and end when they are told to."""

from __future__ import annotations

import signal

import pytest

from listing_media_dagster.gpu.routes.route import Listener
from listing_media_dagster_tests.helpers.gpu_runs import until
from listing_media_dagster_tests.helpers.warm_workers import waiting_job, workshop


@pytest.fixture
def shop(tmp_path):
    with workshop(tmp_path / "shop") as found:
        yield found


def test_a_worker_that_is_told_to_stop_while_a_run_has_its_gpu_ends(shop):
    with shop.slots("lent").claimed("a run"):
        worker = shop.launch_worker("lent")
        until(lambda: "waiting for a GPU: lent by a run in use" in shop.log(), "it waits")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=120) == 0
    assert not shop.board.workers()


def test_a_worker_whose_gpu_runs_no_kernel_takes_no_job_until_it_does(shop, tmp_path):
    broken = shop.folder / "old.broken"
    broken.touch()
    worker = shop.launch_worker("old")
    until(lambda: "old: no kernel image" in shop.log(), "it says why it can't work")
    assert not shop.board.workers()
    broken.unlink()
    until(shop.board.workers, "it is there")
    folder = waiting_job(tmp_path, "after-all", 1)
    shop.route().run(folder, Listener())
    assert folder.result().items[0].outcome == "ok"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=120) == 0


def test_a_worker_without_its_store_takes_no_job_until_it_is_back(shop):
    (shop.folder / "no-store").touch()
    worker = shop.launch_worker("any")
    until(lambda: "the store is away" in shop.log(), "it says why it can't work")
    assert not shop.board.workers()
    until(lambda: not shop.slots("any").holders(), "it gives its device back between two tries")
    (shop.folder / "no-store").unlink()
    until(shop.board.workers, "it is there")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=120) == 0
