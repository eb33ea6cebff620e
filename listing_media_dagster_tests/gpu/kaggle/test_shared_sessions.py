"""Jobs handed to Kaggle: shipped together, done by kernels that really run, and brought back whatever goes wrong."""

from __future__ import annotations

import re
import shutil
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from listing_media_dagster.gpu.job import JobFolder
from listing_media_dagster.gpu.kaggle import cargo
from listing_media_dagster.gpu.kaggle.outbox import Outbox
from listing_media_dagster.gpu.kaggle.shared_sessions import SharedSessions
from listing_media_dagster.gpu.kaggle.shipment import Limits
from listing_media_dagster.gpu.routes.route import JobCancelled, RouteFailed
from listing_media_dagster_tests.gpu.kaggle.conftest import AT_ONCE, IMPATIENT, Died, Hearing, collect_until_all_wait
from listing_media_dagster_tests.helpers.fake_kaggle import KEY, TOKEN, Dataset, FakeKaggle
from listing_media_dagster_tests.helpers.gpu_runs import command_lines_of_children, until

MakeJob = Callable[..., JobFolder]


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run `work` in a thread; the list takes what it returned or raised."""
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append(work())
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def test_a_backfill_of_ten_listings_travels_as_one_kernel_and_leaves_no_secret_and_nothing_behind(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    collect_until_all_wait(sessions, 10)
    folders = [make_job(f"home-{number}", items=1) for number in range(9)] + [make_job("home-9", items=3)]
    heard = [Hearing() for _ in folders]
    threads = [
        in_background(lambda folder=folder, hearing=hearing: sessions.run(folder, hearing.listener))
        for folder, hearing in zip(folders, heard, strict=True)
    ]
    arguments: set[str] = set()
    while any(thread.is_alive() for thread, _ in threads):
        arguments.update(word for words in command_lines_of_children() for word in words)
        time.sleep(0.2)
    reports = [ended[0] for _, ended in threads]

    assert [type(report).__name__ for report in reports] == ["RouteReport"] * 10
    assert len(kaggle.sessions) == 1 and kaggle.count("CreateDataset") == 1
    for folder in folders:
        assert [item.outcome for item in folder.result().items] == ["ok"] * len(folder.job.items)
    assert sorted(heard[9].items) == ["room-0", "room-1", "room-2"]
    assert {report.device for report in reports} == {"Kaggle, 2 x Tesla T4"}
    assert "2 x Tesla T4" in heard[0].text and "shared with 9 other jobs" in heard[0].text

    request = kaggle.sessions[0].request
    assert (request["machineShape"], request["isPrivate"], request["sessionTimeoutSeconds"]) == (
        "NvidiaTeslaT4",
        True,
        2400,
    )
    assert request.get("enableInternet", False) is False
    assert not kaggle.kernels and not kaggle.datasets
    assert not sessions.outbox.shipments() and not list((sessions.outbox.root / "tickets").iterdir())

    with zipfile.ZipFile(kaggle.uploaded[0]) as bundle:
        travelled = b"".join(bundle.read(name) for name in bundle.namelist())
    told = "\n".join([request["text"], *(hearing.text + str(hearing.remembered) for hearing in heard), *arguments])
    session_log = "".join(event["data"] for event in kaggle.sessions[0].log)
    for secret in (TOKEN, KEY):
        assert secret.encode() not in travelled
        assert secret not in told and secret not in session_log
    assert any("client_process" in word for word in arguments)


def test_jobs_that_do_not_fit_one_session_go_with_two_at_the_same_time(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    sessions.limits = Limits(collect_seconds=0.3, session_seconds=1200)
    sessions.outbox.root.mkdir(parents=True)
    sessions.outbox.keep_pace({"enhance/embedded": 500.0})
    kaggle.may_start.clear()
    folders = [make_job(f"home-{number}", items=1) for number in range(2)]
    running = [in_background(lambda folder=folder: sessions.run(folder, Hearing().listener)) for folder in folders]
    until(lambda: kaggle.live_gpu_sessions == 2, "two sessions are there")
    kaggle.may_start.set()
    for thread, _ in running:
        thread.join(120)
    assert [item.outcome for folder in folders for item in folder.result().items] == ["ok", "ok"]
    assert sessions.outbox.pace()["enhance/embedded"] < 500, "what the sessions showed counts"


def test_what_a_broken_gpu_left_undone_goes_with_the_next_session(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    kaggle.faults.broken_second_gpus = 1
    kaggle.faults.mount, kaggle.faults.unpack_archives = "old", False
    folder, hearing = make_job(items=2, spoilt=0), Hearing()
    report = sessions.run(folder, hearing.listener)
    assert [(item.outcome, item.reason) for item in folder.result().items] == [
        ("failed", "an input is no picture"),
        ("ok", ""),
    ]
    assert "1 of 2 items are left (the worker ended with 134: CUDA error: the GPU fell off the bus)" in hearing.text
    assert len(kaggle.sessions) == 2 and kaggle.sessions[0].ref != kaggle.sessions[1].ref
    assert report.used["kaggle_session"] == kaggle.sessions[1].ref


def test_a_session_installs_what_it_lacks_and_cut_or_tampered_outputs_of_it_are_fetched_again(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    about = "Metadata-Version: 2.1\nName: lacking-thing\nVersion: 2\n"
    with zipfile.ZipFile(wheels / "lacking_thing-2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lacking_thing.py", "")
        wheel.writestr("lacking_thing-2.dist-info/METADATA", about)
        wheel.writestr(
            "lacking_thing-2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("lacking_thing-2.dist-info/RECORD", "")
    kaggle.datasets["alice/some-wheels"] = Dataset("some wheels", wheels, private=True, polls_left=0)
    sessions.limits = Limits(collect_seconds=0, datasets=("alice/some-wheels",))
    wanted = {"numpy": "numpy", "lacking_thing": "lacking-thing==2"}
    monkeypatch.setattr(cargo, "requirements", lambda tickets: wanted)
    kaggle.faults.error_page_downloads = 1
    kaggle.faults.truncated_downloads = 1
    kaggle.faults.tampered_downloads = 1
    folder, hearing = make_job(items=1), Hearing()
    sessions.run(folder, hearing.listener)

    assert (kaggle.sessions[0].folder / "installed" / "lacking_thing.py").exists()
    assert "couldn't install" not in hearing.text
    assert list(kaggle.datasets) == ["alice/some-wheels"]

    assert folder.result().items[0].outcome == "ok" and len(kaggle.sessions) == 1
    assert "results.json was answered with status 503" in hearing.text
    assert re.search(r"results.zip (broke off after|couldn't be fetched)", hearing.text)
    assert "its digest differs" in hearing.text


def test_a_session_that_fails_is_told_with_the_end_of_its_log(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    kaggle.faults.gpus = 0
    with pytest.raises(
        RouteFailed, match=r"(?s)ended with an error: exit code 2.*has no GPU; nothing was done"
    ) as failed:
        sessions.run(make_job(), Hearing().listener)
    assert not failed.value.may_succeed_later
    assert not kaggle.kernels and not kaggle.datasets


def test_a_kernel_may_be_invisible_at_first_but_not_stay_away(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    kaggle.faults.gpus = 0
    kaggle.faults.polls_until_visible = 2
    with pytest.raises(RouteFailed, match="no GPU"):
        sessions.run(make_job("seen"), Hearing().listener)
    sessions.patience = replace(IMPATIENT, unseen=0.5)
    kaggle.faults.polls_until_visible = 999
    kaggle.may_start.clear()
    with pytest.raises(RouteFailed, match="was deleted on Kaggle"):
        sessions.run(make_job("unseen"), Hearing().listener)


def test_a_session_that_runs_into_its_limit_may_be_tried_again(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    kaggle.faults.session_seconds = 0.1
    kaggle.faults.failure_message = "Your notebook was stopped because it exceeded the maximum execution duration."
    with pytest.raises(RouteFailed, match="ran into its time limit of 20 minutes") as failed:
        sessions.run(make_job(), Hearing().listener)
    assert failed.value.may_succeed_later


def test_a_session_that_never_begins_or_never_ends_is_given_up(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    kaggle.may_start.clear()
    sessions.patience = replace(IMPATIENT, queue=0.3)
    with pytest.raises(RouteFailed, match="was still queued after") as queued:
        sessions.run(make_job("queued"), Hearing().listener)
    assert queued.value.may_succeed_later and not kaggle.kernels

    kaggle.reset()
    kaggle.image["sitecustomize.py"] = "import time; time.sleep(600)"
    sessions.patience, hearing = IMPATIENT, Hearing()
    sessions.now = lambda: time.time() + (86400 if "session running" in hearing.text else 0)
    with pytest.raises(RouteFailed, match="outlasted its time limit") as endless:
        sessions.run(make_job("endless"), hearing.listener)
    assert endless.value.may_succeed_later and not kaggle.kernels and not kaggle.datasets


@pytest.mark.parametrize(
    ("fault", "value", "reason"),
    [
        ("polls_until_ready", 999, "still isn't ready after"),
        ("dataset_fails", True, "couldn't take alice/listing-media-job-[0-9a-f]+: FAILED"),
        ("lose_datasets", True, "couldn't attach dataset"),
        ("uploads_refused", 999, "upload of .* broke off"),
        ("gpu_session_cap", 0, "no GPU session came free: .*session count of 0 reached"),
        ("save_error", "Phone verification is required.", "Phone verification is required"),
    ],
)
def test_a_shipment_that_cannot_start_fails_with_its_reason_and_is_cleared_away(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob, fault: str, value: Any, reason: str
) -> None:
    setattr(kaggle.faults, fault, value)
    sessions.patience = replace(IMPATIENT, free_session=0.3, dataset_ready=0.4)
    kaggle.may_start.clear()
    with pytest.raises(RouteFailed, match=reason):
        sessions.run(make_job(items=1), Hearing().listener)
    assert not kaggle.kernels and not kaggle.datasets and not sessions.outbox.shipments()


def test_spent_gpu_time_fails_a_job_before_anything_is_uploaded(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    kaggle.gpu_seconds_used = 29.8 * 3600
    with pytest.raises(RouteFailed, match=r"0.2 of 30 GPU hours left"):
        sessions.run(make_job(), Hearing().listener)
    assert not kaggle.count("StartBlobUpload")


def test_a_job_cancelled_while_it_waits_leaves_nothing(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    sessions.limits = Limits(collect_seconds=600)
    hearing = Hearing(cancel_at="wait for a session")
    with pytest.raises(JobCancelled):
        sessions.run(make_job(), hearing.listener)
    assert not kaggle.calls and not list((sessions.outbox.root / "tickets").iterdir())


def test_a_job_cancelled_in_the_middle_of_its_upload_stops_it(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    kaggle.held.add("PUT")
    hearing = Hearing()
    thread, ended = in_background(lambda: sessions.run(make_job(), hearing.listener))
    until(lambda: kaggle.count("PUT"), "the upload is begun")
    hearing.is_cancelled = True
    thread.join(120)
    kaggle.held.clear()
    assert isinstance(ended[0], JobCancelled)
    assert not kaggle.datasets and not kaggle.sessions and not sessions.outbox.shipments()


@pytest.mark.parametrize("moment", ["session running", "done in"])
def test_a_job_cancelled_while_running_or_downloading_clears_its_session_away(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob, moment: str
) -> None:
    with pytest.raises(JobCancelled):
        sessions.run(make_job(items=1), Hearing(cancel_at=moment).listener)
    assert not kaggle.kernels and not kaggle.datasets and not sessions.outbox.shipments()
    until(lambda: kaggle.sessions[0].process and kaggle.sessions[0].process.poll() is not None, "its kernel has ended")


def test_the_last_one_to_cancel_ends_the_session_and_the_others_are_told_what_that_means(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    collect_until_all_wait(sessions, 2)
    kaggle.may_start.clear()
    heard = [Hearing(), Hearing()]
    running = [
        in_background(lambda n=n: sessions.run(make_job(f"home-{n}", items=1), heard[n].listener)) for n in range(2)
    ]
    until(lambda: all("kernel pushed" in hearing.text for hearing in heard), "both know of their session")
    heard[0].is_cancelled = True
    running[0][0].join(120)
    assert isinstance(running[0][1][0], JobCancelled)
    assert "other jobs share the session" in heard[0].text
    assert kaggle.kernels, "the other one still wants its results"
    heard[1].is_cancelled = True
    running[1][0].join(120)
    assert isinstance(running[1][1][0], JobCancelled)
    assert "Kaggle has no call that stops a session" in heard[1].text
    assert not kaggle.kernels and not kaggle.datasets and not sessions.outbox.shipments()


def test_a_session_is_found_again_without_the_outbox_from_what_the_run_remembered(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    kaggle.may_start.clear()
    folder, first = make_job(items=1), Hearing(die_at="kernel pushed")
    with pytest.raises(Died):
        sessions.run(folder, first.listener)
    known = first.remembered[-1]
    assert known["kernel"] == known["dataset"] == kaggle.sessions[0].ref and known["attempt"] == 1
    shutil.rmtree(sessions.outbox.root)
    kaggle.may_start.set()
    again = Hearing()
    sessions.run(folder, again.listener, known)
    assert folder.result().items[0].outcome == "ok"
    assert len(kaggle.sessions) == 1 and "which an earlier attempt started" in again.text


def test_a_session_that_cannot_be_asked_for_is_looked_for_again_and_not_begun_anew(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    folder, first = make_job(items=1), Hearing(die_at="kernel pushed")
    with pytest.raises(Died):
        sessions.run(folder, first.listener)
    shutil.rmtree(sessions.outbox.root)
    kaggle.faults.answer_503["GetKernelSessionStatus"] = AT_ONCE.tries
    with pytest.raises(RouteFailed, match="503") as unasked:
        sessions.run(folder, Hearing().listener, first.remembered[-1])
    assert unasked.value.may_succeed_later
    sessions.run(folder, Hearing().listener, first.remembered[-1])
    assert folder.result().items[0].outcome == "ok" and len(kaggle.sessions) == 1


def test_who_comes_while_another_process_waits_for_the_job_waits_for_that_one_and_can_be_cancelled(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    sessions.limits = Limits(collect_seconds=600)
    folder, first = make_job(), Hearing(die_at="wait for a session")
    with pytest.raises(Died):
        sessions.run(folder, first.listener)
    known = first.remembered[-1]
    with sessions.outbox.waiting_for(known["ticket"]):
        with pytest.raises(JobCancelled):
            sessions.run(folder, Hearing(cancel_at="going on with what").listener, known)
        assert [ticket.id for ticket in sessions.outbox.waiting()] == [known["ticket"]], "the other one still wants it"


def test_a_job_whose_outbox_was_cleared_does_not_wait_for_ever(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    sessions.limits, hearing = Limits(collect_seconds=600), Hearing()
    thread, ended = in_background(lambda: sessions.run(make_job(), hearing.listener))
    until(lambda: "wait for a session" in hearing.text, "it waits")
    shutil.rmtree(sessions.outbox.root / "tickets", ignore_errors=True)  # it may be writing there
    thread.join(120)
    assert isinstance(ended[0], RouteFailed) and ended[0].may_succeed_later
    assert "is gone" in str(ended[0])


def test_a_place_held_by_the_dead_is_freed_by_those_who_wait(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    sessions.limits = Limits(collect_seconds=0, sessions=1)
    kaggle.faults.gpus = 0
    with pytest.raises(Died):
        sessions.run(make_job("left"), Hearing(die_at="kernel pushed").listener)
    assert len(sessions.running()) == 1
    with pytest.raises(RouteFailed, match="no GPU"):
        sessions.run(make_job("next"), Hearing().listener)
    assert not sessions.running() and not kaggle.kernels


def test_what_could_not_be_deleted_is_deleted_by_the_next_driver(
    kaggle: FakeKaggle, sessions: SharedSessions, make_job: MakeJob
) -> None:
    kaggle.faults.save_error = "No."
    kaggle.faults.answer_503["DeleteDataset"] = 5
    hearing = Hearing()
    for name in ("one", "two"):
        with pytest.raises(RouteFailed):
            sessions.run(make_job(name), hearing.listener)
    assert "couldn't be deleted yet" in hearing.text
    assert not kaggle.datasets and not sessions.outbox.shipments()


def test_jobs_of_a_dead_run_are_not_shipped(sessions: SharedSessions, make_job: MakeJob) -> None:
    sessions.limits = Limits(collect_seconds=600)
    with pytest.raises(Died):
        sessions.run(make_job("left"), Hearing(die_at="wait for a session").listener)
    assert len(list((sessions.outbox.root / "tickets").iterdir())) == 1
    assert sessions.outbox.waiting() == []


def test_what_nobody_came_back_for_is_thrown_away_in_the_end(sessions: SharedSessions, make_job: MakeJob) -> None:
    sessions.limits = Limits(collect_seconds=600)
    with pytest.raises(Died):
        sessions.run(make_job("left"), Hearing(die_at="wait for a session").listener)
    sessions.outbox.discard_abandoned(before=time.time() - 60)
    assert len(list((sessions.outbox.root / "tickets").iterdir())) == 1
    sessions.outbox.discard_abandoned(before=time.time() + 60)
    assert not list((sessions.outbox.root / "tickets").iterdir())


def test_what_sessions_of_one_process_learn_at_the_same_time_is_kept_whole(sessions: SharedSessions) -> None:
    sessions.outbox.keep_quota({})
    pace = {"stage/m": 12.0}
    with ThreadPoolExecutor(8) as threads:
        kept = [threads.submit(sessions.outbox.keep_pace, pace) for _ in range(400)]
    assert [each.exception() for each in kept] == [None] * 400
    assert sessions.outbox.pace() == pace
    assert sorted(path.name for path in sessions.outbox.root.iterdir()) == ["pace.json", "quota.json"]


def test_an_outbox_is_made_where_it_is_wanted(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "not" / "there")
    assert outbox.waiting() == [] and outbox.shipments() == [] and outbox.pace() == {}
