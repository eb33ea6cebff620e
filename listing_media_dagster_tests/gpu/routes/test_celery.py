"""Jobs through a real Redis and real warm workers, which are killed in every place; their work only waits."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import redis

from listing_media_dagster.gpu.celery.app import make_app, queue_for
from listing_media_dagster.gpu.celery.board import PREFIX, Board, BrokerDown, Ticket
from listing_media_dagster.gpu.job import Needs
from listing_media_dagster.gpu.routes.celery import HANDLE, CeleryRoute, ticket_for
from listing_media_dagster.gpu.routes.route import JobCancelled, Listener, RouteFailed
from listing_media_dagster.store.media_store import MediaStore, StoreError
from listing_media_dagster_tests.helpers.gpu_runs import command_lines_of_children, is_gone, until
from listing_media_dagster_tests.helpers.servers import free_port
from listing_media_dagster_tests.helpers.warm_workers import HELD, LEASE_SECONDS, PASSWORD, waiting_job, workshop


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A workshop with one worker of one process; a test that kills that finds it replaced."""
    with workshop(tmp_path_factory.mktemp("shop")) as found:
        found.start_worker("fake-0")
        yield found


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as threads:
        yield threads


class Sent:
    """A job on its way in a thread of its own, as the router does it."""

    def __init__(self, pool, route, folder, known=None):
        self.folder, self.name = folder, ticket_for(folder).name
        self.said, self.items, self.handles = [], [], []
        self.stop = threading.Event()
        listener = Listener(self.said.append, self.items.append, self.handles.append, self.stop.is_set)
        self.report = pool.submit(route.run, folder, listener, known)

    def result(self):
        self.report.result(timeout=120)
        return self.folder.result()

    @property
    def all_items(self):
        return [f"{self.folder.job.id}/{item.id}" for item in self.folder.job.items]


def worker_of(shop, sent):
    """Wait until a worker has begun an item of the job; return the worker's process id."""
    lines = until(
        lambda: [line for line in shop.journal("begin") if line[0] in sent.all_items], f"{sent.name} is begun"
    )
    return int(lines[-1][1])


def assert_done_once(shop, *jobs):
    for sent in jobs:
        assert {item.outcome for item in sent.result().items} == {"ok"}
        ended = [name for name in shop.ended() if name in sent.all_items]
        assert ended == sent.all_items, "every item was done, and none twice"


def test_a_job_goes_to_a_warm_worker_and_comes_back(shop, pool, tmp_path):
    sent = Sent(pool, shop.route(), waiting_job(tmp_path, "there-and-back"))
    assert_done_once(shop, sent)
    report = sent.report.result()
    assert report.device == "cpu" and report.run_seconds >= 0.3 and report.queue_seconds >= 0
    assert sent.items == ["photo-0", "photo-1", "photo-2"]
    assert "photo-1: at work" in sent.said
    assert sent.handles == [{HANDLE: sent.name}]
    out = sent.folder.path / "outputs" / "photo-1" / "out.txt"
    assert out.read_bytes() == b"picture of there-and-backthere-and-back/photo-1"
    assert shop.board.status(sent.name) is None
    assert not list(shop.store.list(f"jobs/{sent.name}/")), "nothing of it stays behind"


def test_models_stay_loaded_between_jobs(shop, pool, tmp_path):
    for name in ("first", "second"):
        assert_done_once(shop, Sent(pool, shop.route(), waiting_job(tmp_path, name, 1, load=0.25)))
    assert len([line for line in shop.journal("load") if line[0] == "0.25"]) == 1


def test_jobs_that_go_together_are_taken_as_one_batch(shop, pool, tmp_path):
    until(lambda: len(shop.board.workers()) == 1, "no worker that was killed counts, whose share would be left")
    before = Sent(pool, shop.route(), waiting_job(tmp_path, "before", 1, seconds=HELD))
    worker_of(shop, before)
    others = [Sent(pool, shop.route(), waiting_job(tmp_path, "another-model", 1, load=0.5))]
    alike = [Sent(pool, shop.route(), waiting_job(tmp_path, f"alike-{n}", 2, seconds=HELD - 1)) for n in range(3)]
    group = ticket_for(alike[0].folder).group
    until(lambda: shop.board.count_waiting(group) == 3, "all wait")
    shop.let_go("before")

    held = until(lambda: [s for s in (shop.board.status(sent.name) for sent in alike) if s and s.held], "one is begun")
    until(lambda: shop.board.count_waiting(group) == 0, "none waits any more")
    assert held[0].state == "running"
    for sent in alike:
        shop.let_go(sent.folder.job.id)
    assert_done_once(shop, before, *others, *alike)
    begun = [line[0].split("/")[0] for line in shop.journal("begin")]
    first = min(begun.index(sent.folder.job.id) for sent in alike)
    assert {begun[first + n] for n in range(6)} == {"alike-0", "alike-1", "alike-2"}, "done in a row"


def test_a_worker_killed_in_the_middle_of_an_item_loses_and_repeats_nothing(shop, pool, tmp_path):
    sent = Sent(pool, shop.route(), waiting_job(tmp_path, "killed", 3, seconds=HELD))
    worker = worker_of(shop, sent)
    shop.let_go("killed/photo-0")
    until(lambda: sent.items, "an item is back")
    os.kill(worker, signal.SIGKILL)
    shop.let_go("killed")
    assert_done_once(shop, sent)
    assert {line[1] for line in shop.journal("end") if line[0].startswith("killed/")} > {str(worker)}
    assert sent.items == ["photo-0", "photo-1", "photo-2"]


def test_a_job_cancelled_while_it_waits_is_never_begun(shop, pool, tmp_path):
    before = Sent(pool, shop.route(), waiting_job(tmp_path, "in-the-way", 1, seconds=HELD))
    worker_of(shop, before)
    waiting = Sent(pool, shop.route(), waiting_job(tmp_path, "too-late", load=0.01))
    until(lambda: shop.board.status(waiting.name), "it waits")
    waiting.stop.set()
    with pytest.raises(JobCancelled):
        waiting.report.result(timeout=120)
    assert shop.board.status(waiting.name).state == "cancelled"

    shop.let_go("in-the-way")
    assert_done_once(shop, before, Sent(pool, shop.route(), waiting_job(tmp_path, "after", 1)))
    assert not [line for line in shop.journal("begin") if line[0].startswith("too-late/")]


def test_a_running_job_stops_in_the_middle_of_an_item_and_keeps_what_it_has(shop, pool, tmp_path):
    sent = Sent(pool, shop.route(), waiting_job(tmp_path, "stopped", 2, seconds=HELD))
    quick = Sent(pool, shop.route(), waiting_job(tmp_path, "quick-then-stopped", 2, seconds=0.0))
    worker = worker_of(shop, sent)
    sent.stop.set()
    with pytest.raises(JobCancelled):
        sent.report.result(timeout=120)
    assert not is_gone(worker), "its worker is there for the next job"
    assert not shop.board.status(sent.name).held
    assert sent.items == []
    assert_done_once(shop, quick)

    again = Sent(pool, shop.route(), waiting_job(tmp_path / "again", "stopped", 2, seconds=0.0))
    assert_done_once(shop, again)


def test_a_job_cancelled_while_its_pictures_are_sent_leaves_nothing_behind(shop, pool, tmp_path):
    folder = waiting_job(tmp_path, "half-sent", 2)
    cancelled = threading.Event()

    class SlowStore(MediaStore):
        def write(self, key, data):
            cancelled.set()
            return super().write(key, data)

    route = CeleryRoute(shop.redis.url, lambda: SlowStore(str(shop.folder / "media")), lease_seconds=LEASE_SECONDS)
    with pytest.raises(JobCancelled):
        route.run(folder, Listener(is_cancelled=cancelled.is_set))
    assert not list(shop.store.list(f"jobs/{ticket_for(folder).name}/"))
    assert shop.board.status(ticket_for(folder).name).state == "cancelled"


def test_a_job_cancelled_while_its_results_are_fetched_leaves_nothing_behind(shop, pool, tmp_path):
    folder = waiting_job(tmp_path, "half-fetched", 2)
    cancelled = threading.Event()

    class SlowStore(MediaStore):
        def read(self, key):
            if key.endswith("manifest.json"):
                cancelled.set()
            return super().read(key)

    route = CeleryRoute(shop.redis.url, lambda: SlowStore(str(shop.folder / "media")), lease_seconds=LEASE_SECONDS)
    with pytest.raises(JobCancelled):
        route.run(folder, Listener(is_cancelled=cancelled.is_set))
    assert not list(shop.store.list(f"jobs/{ticket_for(folder).name}/"))
    assert shop.board.status(ticket_for(folder).name) is None


def test_a_job_cancelled_while_its_store_is_away_is_cancelled_all_the_same(shop, tmp_path):
    folder = waiting_job(tmp_path, "cancelled-without-store", 2)
    cancelled = threading.Event()

    class Away(MediaStore):
        def write(self, key, data):
            cancelled.set()

        def list(self, prefix):
            raise StoreError("the store doesn't answer")

    route = CeleryRoute(shop.redis.url, lambda: Away(str(shop.folder / "media")), lease_seconds=LEASE_SECONDS)
    with pytest.raises(JobCancelled):
        route.run(folder, Listener(is_cancelled=cancelled.is_set))


def test_a_job_that_somebody_else_cancels_may_be_sent_again(shop, pool, tmp_path):
    sent = Sent(pool, shop.route(), waiting_job(tmp_path, "wanted-by-two", 1, seconds=HELD))
    worker_of(shop, sent)
    shop.board.cancel(sent.name)
    with pytest.raises(RouteFailed, match="cancelled by somebody else") as failed:
        sent.report.result(timeout=120)
    assert failed.value.may_succeed_later
    shop.let_go("wanted-by-two")
    assert_done_once(shop, Sent(pool, shop.route(), sent.folder, known={HANDLE: sent.name}))


def test_a_job_that_kills_its_workers_is_given_up(shop, pool, tmp_path):
    sent = Sent(pool, shop.route(), waiting_job(tmp_path, "poison", 1, seconds=-1.0))
    with pytest.raises(RouteFailed, match="3 workers died while they had it in hand") as failed:
        sent.report.result(timeout=120)
    assert not failed.value.may_succeed_later
    assert len([line for line in shop.journal("begin") if line[0] == "poison/photo-0"]) == 3


def test_a_poller_that_was_killed_finds_its_job_again(shop, pool, tmp_path):
    folder = waiting_job(tmp_path, "found-again", 3, seconds=0.5)
    code = f"""
from pathlib import Path
from listing_media_dagster.gpu.celery.board import Board
from listing_media_dagster.gpu.job import JobFolder
from listing_media_dagster.gpu.routes.celery import CeleryRoute
from listing_media_dagster.gpu.routes.route import Listener
from listing_media_dagster.store.media_store import MediaStore
route = CeleryRoute(input(), lambda: MediaStore({str(shop.folder / "media")!r}), lease_seconds={LEASE_SECONDS})
route.run(JobFolder(Path({str(folder.path)!r})), Listener(item_done=lambda item: print(item, flush=True)))
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as poller:
        poller.stdin.write(f"{shop.redis.url}\n")
        poller.stdin.flush()
        assert poller.stdout.readline().strip() == "photo-0"
        poller.kill()
    again = Sent(pool, shop.route(), folder, known={HANDLE: ticket_for(folder).name})
    assert_done_once(shop, again)
    assert again.handles == []


def test_a_job_that_was_changed_in_the_store_is_refused(shop, pool, tmp_path):
    before = Sent(pool, shop.route(), waiting_job(tmp_path, "before-changing", 1, seconds=HELD))
    worker_of(shop, before)
    sent = Sent(pool, shop.route(), waiting_job(tmp_path, "changed", load=0.02))
    until(lambda: shop.board.status(sent.name), "it waits")
    shop.store.write(f"jobs/{sent.name}/job.json", b"{}")
    shop.let_go("before-changing")
    with pytest.raises(RouteFailed, match="isn't the job that was put up"):
        sent.report.result(timeout=120)


def test_the_password_is_nowhere_to_be_read(shop, tmp_path):
    told = [" ".join(words) for words in command_lines_of_children() if words and "redis-server" not in words[0]]
    assert any("warm_workers" in line for line in told) and not [line for line in told if PASSWORD in line]
    assert PASSWORD not in shop.log()
    assert PASSWORD not in repr(shop.route())
    files = [Path(folder, name) for folder, _, names in os.walk(shop.folder) for name in names]
    assert files and not [file for file in files if PASSWORD.encode() in content_of(file)]


def content_of(file):
    """Return what a file holds; nothing if it was removed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return file.read_bytes()
    return b""


@pytest.fixture(scope="module")
def larger_shop(tmp_path_factory):
    with workshop(tmp_path_factory.mktemp("two-workers")) as found:
        yield found


@pytest.fixture
def two_workers(larger_shop):
    """A workshop with two workers of one process each, whatever an earlier test did to them."""
    while len([worker for worker in larger_shop.workers if worker.poll() is None]) < 2:
        larger_shop.start_worker(f"fake-{len(larger_shop.workers)}")
    return larger_shop


def worker_with(shop, process):
    """Return the worker that a process belongs to."""
    return next(worker for worker in shop.workers if psutil.Process(process).ppid() == worker.pid)


def test_two_workers_work_at_the_same_time(two_workers, pool, tmp_path):
    jobs = [waiting_job(tmp_path, f"job-{n}", 2, seconds=HELD) for n in range(4)]
    sent = [Sent(pool, two_workers.route(), job) for job in jobs]
    items = [item for job in sent for item in job.all_items]

    def at_work():
        return {line[1] for line in two_workers.journal("begin") if line[0] in items}

    until(lambda: len(at_work()) == 2, "both are at work before either has done anything")
    assert not [name for name in two_workers.ended() if name in items]
    for job in jobs:
        two_workers.let_go(job.job.id)
    assert_done_once(two_workers, *sent)


def test_a_worker_that_is_told_to_stop_hands_its_job_over(two_workers, pool, tmp_path):
    sent = Sent(pool, two_workers.route(), waiting_job(tmp_path, "handed-over", 3, seconds=HELD))
    stopped = worker_with(two_workers, worker_of(two_workers, sent))
    stopped.send_signal(signal.SIGTERM)
    until(lambda: "Warm shutdown" in two_workers.log(), "it knows")
    two_workers.let_go("handed-over/photo-0")
    until(lambda: ["handed-over/photo-1"] in [line[:1] for line in two_workers.journal("begin")], "the next is begun")
    two_workers.let_go("handed-over")
    assert_done_once(two_workers, sent)
    assert stopped.wait(timeout=120) == 0
    assert len({line[1] for line in two_workers.journal("end") if line[0] in sent.all_items}) == 2


def test_when_a_whole_worker_is_killed_its_processes_go_too_and_another_takes_over(two_workers, pool, tmp_path):
    sent = Sent(pool, two_workers.route(), waiting_job(tmp_path, "taken-over", 3, seconds=HELD))
    process = worker_of(two_workers, sent)
    two_workers.let_go("taken-over/photo-0")
    until(lambda: sent.items, "an item is back")
    worker_with(two_workers, process).kill()
    until(lambda: is_gone(process), "the process that held the GPU is gone")
    two_workers.let_go("taken-over")
    assert_done_once(two_workers, sent)
    assert any("put up again" in line for line in sent.said)


def lose_redis_in_the_middle(shop, pool, tmp_path):
    running = Sent(pool, shop.route(), waiting_job(tmp_path / "jobs", "running", 4, seconds=HELD))
    worker_of(shop, running)
    waiting = Sent(pool, shop.route(), waiting_job(tmp_path / "jobs", "waiting", 1, load=0.01))
    until(lambda: shop.board.status(waiting.name), "the second job waits")
    shop.redis.kill()
    shop.redis.start()
    shop.let_go("running")
    assert_done_once(shop, running, waiting)


def test_a_restart_of_redis_loses_and_repeats_nothing(shop, pool, tmp_path):
    lose_redis_in_the_middle(shop, pool, tmp_path)


def test_a_redis_that_forgets_everything_loses_and_repeats_nothing(tmp_path, pool):
    with workshop(tmp_path, keeps=False) as forgetful:
        forgetful.start_worker("fake-0")
        lose_redis_in_the_middle(forgetful, pool, tmp_path)


def test_a_job_that_no_worker_comes_for_is_taken_back_and_may_be_sent_again(tmp_path, pool):
    with workshop(tmp_path) as empty:
        sent = Sent(pool, empty.route(worker_seconds=0.2), waiting_job(tmp_path / "jobs", "in-vain", 1))
        with pytest.raises(RouteFailed, match="no warm worker has been there") as failed:
            sent.report.result(timeout=120)
        assert failed.value.may_succeed_later
        assert empty.board.status(sent.name).state == "cancelled"
        assert not list(empty.store.list(f"jobs/{sent.name}/"))


def test_a_redis_that_stays_away_fails_the_route_and_the_job_may_be_sent_again(tmp_path, pool):
    with workshop(tmp_path) as shop:
        sent = Sent(pool, shop.route(broker_seconds=0.2), waiting_job(tmp_path / "jobs", "cut-off", 1))
        until(lambda: any("waits for a warm worker" in line for line in sent.said), "it waits")
        shop.redis.kill()
        with pytest.raises(RouteFailed, match="the broker doesn't answer") as failed:
            sent.report.result(timeout=120)
        assert failed.value.may_succeed_later


class TestRefusals:
    def test_no_broker(self):
        refused = CeleryRoute("", None).refusal(Needs())
        assert refused == "LISTING_MEDIA_BROKER names no broker"

    def test_another_broker(self):
        assert "redis://" in CeleryRoute("amqp://guest@127.0.0.1", None).refusal(Needs())
        with pytest.raises(ValueError, match="redis://"):
            make_app("amqp://guest@127.0.0.1")

    def test_broker_down(self):
        refused = CeleryRoute(f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0", None).refusal(Needs())
        assert refused == "the broker doesn't answer (ConnectionError)"

    def test_wrong_password(self, shop):
        refused = CeleryRoute(shop.redis.url.replace(PASSWORD, "wrong"), None).refusal(Needs())
        assert refused == "the broker refuses the password of LISTING_MEDIA_BROKER"

    def test_what_redis_refuses_is_told_in_its_words(self, shop):
        url = shop.redis.url.replace("/0", "/2")
        with redis.Redis.from_url(url) as client:
            client.set(f"{PREFIX}waiting:group", "of another type")
        with pytest.raises(BrokerDown, match="the broker refuses: WRONGTYPE"):
            Board(url).count_waiting("group")

    def test_worker_too_small(self, shop):
        until(lambda: shop.route().refusal(Needs(gpu="optional")) is None, "the worker is there")
        assert "the workers that are there have none" in shop.route().refusal(Needs(gpu="required"))
        assert "12 GB of GPU memory are needed" in shop.route().refusal(Needs(gpu="required", vram_gb=12))

    def test_no_worker(self, shop):
        elsewhere = CeleryRoute(shop.redis.url.replace("/0", "/1"), None)
        assert elsewhere.refusal(Needs()) == (
            "no worker has been there for 30 s: start one with `listing-media gpu-worker`"
        )


@pytest.mark.parametrize(
    ("needed", "sizes", "queue"),
    [(0, [0, 24], "gpu"), (8, [24, 24], "gpu"), (8, [0, 12, 24], "gpu.12"), (16, [12, 23.6], "gpu.23"), (8, [], "gpu")],
)
def test_a_job_waits_where_only_workers_that_are_large_enough_look(needed, sizes, queue):
    assert queue_for(needed, sizes) == queue


@pytest.mark.parametrize(
    "broker",
    [
        "redis://:hush/hush@host:6379/0",
        "redis://:hush#x@host:1/0",
        "redis://u:hush@host:hush/0",
        "redis://[::hush@host",
    ],
)
def test_a_broker_that_is_no_url_is_said_without_any_of_its_password(broker: str) -> None:
    refusal = CeleryRoute(broker, lambda: None).refusal(Needs(gpu="optional"))  # type: ignore[arg-type, return-value]
    assert refusal and "%2F" in refusal and "hush" not in refusal


@pytest.mark.parametrize("name", ["../../elsewhere", "/etc", "", "a/b", "-x", "x" * 200, "a\n"])
def test_a_ticket_whose_name_could_lead_elsewhere_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="is no job's name"):
        Ticket(name, "0" * 64, "g")
