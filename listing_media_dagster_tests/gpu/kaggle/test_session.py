"""What runs on Kaggle: how work is dealt out to the GPUs, why items stay undone, where weights are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from listing_media_dagster.gpu.job import JobFolder
from listing_media_dagster.gpu.job_models import NamedModels
from listing_media_dagster.gpu.kaggle import session
from listing_media_dagster.gpu.kaggle.outbox import EventTail
from listing_media_dagster.gpu.kaggle.session_log import SessionLog, read_line
from listing_media_dagster.gpu.kaggle.session_weights import gather_bundles, pull_missing
from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.entry import CommercialUse
from listing_media_dagster.models.packing import pack_models
from listing_media_dagster.models.pinned import pinned, pinned_digest
from listing_media_dagster.models.weights import find_weights
from listing_media_dagster.models.weights_pull import pull
from listing_media_dagster_tests.helpers.fake_hub import FakeHub, FakeRepo, running, safetensors

DEPTH = catalogue_entry("depth-anything-v2-small")


def test_items_are_dealt_out_evenly_over_the_gpus_whatever_jobs_they_are_of(
    make_job: Callable[..., JobFolder], tmp_path: Path
) -> None:
    jobs = {name: make_job(name, items=items) for name, items in (("a", 3), ("b", 1), ("c", 1), ("d", 3))}
    lanes = session.lay_out(jobs, ["Tesla T4", "Tesla T4"], tmp_path / "scratch")
    parts = [{place.name: JobFolder(place) for place in lane.folder.iterdir()} for lane in lanes]
    shares = [[f"{name}/{item.id}" for name, part in lane.items() for item in part.job.items] for lane in parts]
    assert [len(share) for share in shares] == [4, 4]
    assert len({*shares[0], *shares[1]}) == 8
    assert [lane.environment["CUDA_VISIBLE_DEVICES"] for lane in lanes] == ["0", "1"]
    for lane in parts:
        for name, part in lane.items():
            for item in part.job.items:
                assert part.read(item.inputs["picture"])
                assert part.job.item_key(item) == jobs[name].job.item_key(item)


def test_without_a_gpu_there_is_one_lane_on_the_processor(make_job: Callable[..., JobFolder], tmp_path: Path) -> None:
    (lane,) = session.lay_out({"a": make_job(items=2)}, [], tmp_path / "scratch")
    assert (lane.device, lane.environment) == ("cpu", {})


def test_an_unfinished_job_says_what_became_of_its_lane(make_job: Callable[..., JobFolder], tmp_path: Path) -> None:
    job = make_job(items=2)
    lanes = session.lay_out({"a": job}, ["T4", "T4"], tmp_path / "scratch")
    assert session.why_unfinished("a", job, lanes, {}) == "the session's time was up"
    assert session.why_unfinished("a", job, lanes, {lanes[0].folder: "the worker ended with -9"}).endswith("-9")
    (lanes[0].folder / "a" / "refused.txt").write_text("this version can't do it")
    assert session.why_unfinished("a", job, lanes, {}) == "this version can't do it"


def test_a_line_of_the_log_is_an_item_words_or_chatter() -> None:
    done = read_line('{"ticket": "t", "event": "item", "item": "room-0"}')
    assert done is not None and (done.ticket, done.item) == ("t", "room-0")
    words = read_line('{"event": "session", "text": "2 jobs"}')
    assert words is not None and words.line == "2 jobs"
    chatter = read_line("Loading pipeline components...")
    assert chatter is not None and chatter.line.startswith("Loading")
    assert read_line("  ") is None and read_line("[1, 2]") is None


def test_a_log_that_is_read_again_is_told_once() -> None:
    log = SessionLog(client=None, ref="alice/x", told=2)  # type: ignore[arg-type]
    assert [event.line for event in log.rest(["one", "two", "three"])] == ["three"]
    assert log.rest(["one", "two", "three"]) == []
    assert [event.line for event in log.rest(["one", "two", "three", "four"])] == ["four"]


def test_only_what_no_bundle_brought_is_fetched(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    said: list[str] = []
    pull_missing([NamedModels((DEPTH.id,), ())] * 2, tmp_path / "models", said.append)
    assert len(said) == 1 and said[0].startswith("fetching Depth")
    pull_missing([NamedModels(("sdxl-union", DEPTH.id), ())], tmp_path / "models", said.append)
    assert len(said) == 1, "one that does is here"
    pull_missing([NamedModels((DEPTH.id,), ("clip-vit-b32",))], tmp_path / "models", said.append)
    assert said[-1].startswith("clip-vit-b32: "), "the hub has none of it, and says so"


def test_a_model_whose_licence_the_installation_allowed_is_fetched(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    asking = DEPTH.model_copy(update={"commercial_use": CommercialUse.NO})
    pull_missing([NamedModels((DEPTH.id,), (), {DEPTH.id: asking})], tmp_path / "models", lambda line: None)
    assert find_weights(DEPTH, None, tmp_path / "models").origin == "pulled"


def test_a_session_fetches_the_commit_that_the_job_carries_and_nothing_else(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    part = DEPTH.parts[0].model_copy(update={"revision": None})
    ours = DEPTH.model_copy(update={"id": "ours", "parts": (part,)})
    pull(ours, tmp_path / "here")
    held = pinned(ours, tmp_path / "here")
    repo = hub.repos[str(part.repo)]
    repo.move_to("e" * 40, {**repo.files, "model.safetensors": safetensors(b"retrained" * 900)})
    pull_missing([NamedModels(("ours",), (), {"ours": held})], tmp_path / "models", lambda line: None)
    assert find_weights(held, None, tmp_path / "models").weights_sha256 == pinned_digest(held)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    part = DEPTH.parts[0]
    files = {"config.json": b"{}", "preprocessor_config.json": b"{}", "model.safetensors": safetensors(b"depth" * 900)}
    with running(FakeHub({str(part.repo): FakeRepo(str(part.revision), files)})) as hub:
        yield hub


@pytest.mark.parametrize("mount", ["weights-of-depth", "datasets/alice/weights-of-depth/weights"])
def test_attached_bundles_make_a_models_folder_without_a_copy(hub: FakeHub, tmp_path: Path, mount: str) -> None:
    pull(DEPTH, tmp_path / "pulled", endpoint=hub.url)
    pack_models([DEPTH], tmp_path / "pulled", tmp_path / "input" / mount)
    assert gather_bundles(tmp_path / "input", tmp_path / "models") == (DEPTH.id,)
    here, there = (find_weights(DEPTH, None, tmp_path / name) for name in ("pulled", "models"))
    assert there.weights_sha256 == here.weights_sha256
    assert all(path.is_symlink() for path in (tmp_path / "models").rglob("*.safetensors"))


def test_what_a_killed_process_left_half_written_is_passed_over(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_bytes(b'{"line": "one"}\n{"line": "tw{"line": "three"}\n{"line": "four"}\n{"line": "fi')
    tail = EventTail(events)
    assert [event.line for event in tail.new_events()] == ["one", "four"]
    with events.open("ab") as file:
        file.write(b've"}\n')
    assert [event.line for event in tail.new_events()] == ["five"]
