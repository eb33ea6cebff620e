"""Chains against the jobs that they are made of: equal answers under equal keys, whatever is refused, fails or dies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from listing_media_dagster.gpu.job import BadJob, Item, ItemResult, JobFolder, ModelJob, ModelRef, WorkKind, job_file
from listing_media_dagster.gpu.routes.route import Listener
from listing_media_dagster.gpu.work.bench import Bench
from listing_media_dagster.gpu.work.chain_order import Link, TurnDone, chain_of, first_key, steps_of, turns_done
from listing_media_dagster.gpu.work.models import NoModelHere
from listing_media_dagster.gpu.work.score import scorer_key
from listing_media_dagster.gpu.worker import Assignment, work_off
from listing_media_dagster.models.clip import CLIP_MODEL_ID, ClipScorer
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster_tests.helpers import stand_in_work
from listing_media_dagster_tests.helpers.tiny_clip import save_tiny_clip

STAGED, POLISHED, SCORED = WorkKind.STAGE, WorkKind.ENHANCE, WorkKind.SCORE
MODEL = ModelRef(id="a-model", weights_sha256="a" * 64)


def room(level: int) -> bytes:
    grain = np.random.default_rng(level).normal(0, 12, (96, 128, 3))
    return encode_jpeg(np.clip(level + grain, 0, 255).astype(np.uint8), 95)


ROOMS = {"dark": room(40), "dim": room(80), "light": room(160), "sunny": room(220)}


def job(kind: WorkKind, pictures: Mapping[str, bytes], model: ModelRef | None = MODEL, **parameters: Any) -> ModelJob:
    role = "base" if kind is STAGED else "picture"
    items = tuple(
        Item(id=name, inputs={role: job_file(f"inputs/{name}.jpg", data)}, parameters=parameters, seed=7)
        for name, data in pictures.items()
    )
    return ModelJob(id=kind.value, kind=kind, model=model, items=items)


def scoring(pictures: Mapping[str, bytes], model: ModelRef = MODEL, caption: str = "a photo of a bedroom") -> ModelJob:
    return job(SCORED, pictures, model, caption=caption, contrasts=["a photo of a garage"])


def worked_off(path: Path, given: ModelJob, files: Mapping[str, bytes], bench: Bench | None = None) -> JobFolder:
    named = {f"inputs/{name}.jpg": data for name, data in files.items()}
    folder = JobFolder.create(path, given, named)
    assert not work_off([Assignment(folder)], bench or Bench("cpu", WarmModels(), path))
    return folder


def turns(folder: JobFolder, name: str) -> list[TurnDone]:
    result = folder.result_of(name)
    assert result is not None
    return list(turns_done(folder.job, result))


def answer(result: ItemResult) -> tuple[Any, ...]:
    """Return what an item gave, without what it took."""
    outputs = {role: file.sha256 for role, file in result.outputs.items()}
    return result.item_id, result.key, result.outcome, result.reason, outputs, result.record


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    stand_in_work.put_in_place(monkeypatch.setattr)
    monkeypatch.setattr(stand_in_work, "DONE", [])
    return stand_in_work.DONE


@pytest.fixture
def home(stand_ins: list[str]) -> ModelJob:
    """Return the chain of a listing: two rooms are to be staged, all to be polished and scored."""
    to_stage = {name: ROOMS[name] for name in ("dark", "light")}
    return chain_of(
        [
            Link(job(STAGED, to_stage)),
            Link(job(POLISHED, ROOMS)),
            Link(scoring(ROOMS), staged=False),
            Link(scoring(to_stage, caption=""), staged=True, told=("caption",)),
        ]
    )


def test_embedded_enhancement_and_real_scores_in_a_chain_are_those_of_single_jobs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    encoder, models = ModelRef(id=CLIP_MODEL_ID), WarmModels()
    models.get(scorer_key(encoder), lambda: ClipScorer.load(save_tiny_clip(tmp_path / "clip"), allow_test_weights=True))
    bench = Bench("cpu", models, tmp_path)
    pictures = {name: ROOMS[name] for name in ("dim", "light", "sunny")}
    enhancing = job(POLISHED, pictures, model=None)
    chain = worked_off(
        tmp_path / "chain", chain_of([Link(enhancing), Link(scoring(pictures, encoder))]), pictures, bench
    )

    alone = worked_off(tmp_path / "enhance", enhancing, pictures, bench)
    enhanced = {item.item_id: alone.read(item.outputs["enhanced.jpg"]) for item in alone.result().items}
    scored = worked_off(tmp_path / "score", scoring(enhanced, encoder), enhanced, bench)
    for name in pictures:
        singles = [folder.result_of(name) for folder in (alone, scored)]
        assert [answer(turn.result) for turn in turns(chain, name)] == [answer(each) for each in singles if each]
        (first, _), result = turns(chain, name), chain.result_of(name)
        assert result and chain.read(result.outputs[first.roles["enhanced.jpg"]]) == enhanced[name]


def test_what_is_refused_goes_on_as_it_was_and_each_photo_takes_the_turns_that_are_for_it(
    home: ModelJob, tmp_path: Path, stand_ins: list[str]
) -> None:
    folder = worked_off(tmp_path / "home", home, ROOMS)
    went = {name: [(turn.result.outcome, turn.result.key) for turn in turns(folder, name)] for name in ROOMS}
    assert {name: [outcome for outcome, _ in each] for name, each in went.items()} == {
        "dark": ["refused", "refused", "ok"],
        "dim": ["refused", "ok"],
        "light": ["ok", "ok", "ok"],
        "sunny": ["ok", "ok"],
    }
    as_it_was = scoring({"dark": ROOMS["dark"]})
    assert went["dark"][-1][1] == as_it_was.item_key(as_it_was.items[0])
    polished = turns(folder, "light")[1]
    result = folder.result_of("light")
    assert result
    staged_and_polished = folder.read(result.outputs[polished.roles["altered.jpg"]])
    told = scoring({"light": staged_and_polished}, caption=stand_in_work.CAPTION)
    assert went["light"][-1][1] == told.item_key(told.items[0])


def test_a_rejected_picture_is_not_passed_on_and_rejected_staging_ends_the_way(
    home: ModelJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = stand_in_work._ledger

    def rejected(name: str, seed: int) -> dict[str, Any]:
        return {**ledger(name, seed), "verdicts": [{"gate": "structure", "outcome": "failed"}]}

    monkeypatch.setattr(stand_in_work, "_ledger", rejected)
    folder = worked_off(tmp_path / "home", home, ROOMS)
    assert [turn.result.outcome for turn in turns(folder, "light")] == ["ok"], "nothing is done to such a picture"
    scored = scoring({"sunny": ROOMS["sunny"]})
    assert turns(folder, "sunny")[-1].key == scored.item_key(scored.items[0])


def test_a_turn_that_fails_ends_the_way_of_its_photo_alone(home: ModelJob, tmp_path: Path) -> None:
    spoilt = {**ROOMS, "dim": b"no picture"}
    folder = worked_off(tmp_path / "home", chain_of([Link(job(POLISHED, spoilt)), Link(scoring(spoilt))]), spoilt)
    assert [len(turns(folder, name)) for name in ROOMS] == [2, 0, 2, 2]
    result = folder.result_of("dim")
    assert result and result.record["turns"]["0"]["reason"] == "an input is no picture"


def test_a_machine_that_has_no_model_for_anything_of_a_chain_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_here(tasks: Sequence[Any], bench: Bench) -> Any:
        raise NoModelHere("sdxl-tile isn't here")

    monkeypatch.setattr("listing_media_dagster.gpu.work.alter.polish_pictures", none_here)
    folder = worked_off(tmp_path / "home", chain_of([Link(job(POLISHED, ROOMS)), Link(scoring(ROOMS))]), ROOMS)
    assert folder.result().lacks_models and folder.result().items[0].reason == "sdxl-tile isn't here"


def test_a_chain_left_in_the_middle_of_a_photo_goes_on_there(
    home: ModelJob, tmp_path: Path, stand_ins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(tasks: Sequence[Any], bench: Bench) -> Any:
        raise Died

    with monkeypatch.context() as dying:
        dying.setattr("listing_media_dagster.gpu.work.alter.polish_pictures", die)
        with pytest.raises(Died):
            worked_off(tmp_path / "home", home, ROOMS)
    assert stand_ins == ["stage dark", "stage light"]
    folder = JobFolder(tmp_path / "home")
    assert not work_off([Assignment(folder)], Bench("cpu", WarmModels(), tmp_path))
    assert sorted(stand_ins) == sorted(
        [f"{what} {name}" for name in ROOMS for what in ("enhance", "score")] + ["stage dark", "stage light"]
    )


def test_a_killed_worker_loses_no_finished_photo(tmp_path: Path) -> None:
    pictures = {f"room-{number}": room(100 + number) for number in range(6)}
    polishing = job(POLISHED, pictures, model=None)
    named = {f"inputs/{name}.jpg": data for name, data in pictures.items()}
    folder = JobFolder.create(tmp_path / "job", chain_of([Link(polishing), Link(polishing)]), named)
    command = [sys.executable, "-m", "listing_media_dagster.gpu.worker", str(folder.path)]
    fourth = folder.path / "inputs" / "room-3.jpg"
    fourth.unlink()
    os.mkfifo(fourth)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as working, fourth.open("wb"):
        working.kill()  # it reads the fourth photo, or that wouldn't be open
        working.wait()
    fourth.unlink()
    fourth.write_bytes(pictures["room-3"])
    written = {name: (folder.path / "outputs" / name / "item.json").stat().st_mtime_ns for name in folder.done()}
    assert set(written) == {"room-0", "room-1", "room-2"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert all((folder.path / "outputs" / name / "item.json").stat().st_mtime_ns == at for name, at in written.items())
    assert [len(turns(folder, name)) for name in pictures] == [2] * 6 and folder.result()


def test_chains_of_two_listings_are_worked_off_as_one_and_told_apart(
    home: ModelJob, tmp_path: Path, stand_ins: list[str]
) -> None:
    named = {f"inputs/{name}.jpg": data for name, data in ROOMS.items()}
    folders = [
        JobFolder.create(tmp_path / name, home.model_copy(update={"id": name}), named) for name in ("one", "two")
    ]
    said: dict[str, list[str]] = {"one": [], "two": []}
    assignments = [Assignment(folder, Listener(item_done=said[folder.path.name].append)) for folder in folders]
    assert not work_off(assignments, Bench("cpu", WarmModels(), tmp_path))
    assert [sorted(each) for each in said.values()] == [sorted(ROOMS)] * 2
    assert stand_ins[:4] == ["stage dark", "stage light"] * 2, "step by step, so that each model is loaded once"
    assert [answer(turn.result) for turn in turns(folders[0], "light")] == [
        answer(turn.result) for turn in turns(folders[1], "light")
    ]


def test_a_cancelled_chain_is_left_and_says_so(home: ModelJob, tmp_path: Path, stand_ins: list[str]) -> None:
    named = {f"inputs/{name}.jpg": data for name, data in ROOMS.items()}
    folder = JobFolder.create(tmp_path / "home", home, named)
    listener = Listener(is_cancelled=lambda: bool(stand_ins))
    assert work_off([Assignment(folder, listener)], Bench("cpu", WarmModels(), tmp_path)) == {"unnamed"}
    assert 0 < len(stand_ins) < 5 and not folder.done()


@pytest.mark.parametrize("what", ["key", "picture", "nothing"])
def test_what_does_not_belong_to_what_was_asked_is_refused(home: ModelJob, tmp_path: Path, what: str) -> None:
    folder = worked_off(tmp_path / "home", home, ROOMS)
    result = folder.result_of("light")
    assert result
    said = dict(result.record["turns"])
    if what == "key":
        said["1"] = {**said["1"], "key": "0" * 64}
    elif what == "picture":
        file = {**said["0"]["outputs"]["staged.jpg"], "sha256": "0" * 64}
        said["0"] = {**said["0"], "outputs": {"staged.jpg": file}}
    else:
        said = {}
    with pytest.raises(BadJob, match="light of job unnamed"):
        list(turns_done(home, result.model_copy(update={"record": {"turns": said}})))


def test_a_job_of_another_kind_is_its_own_only_step(home: ModelJob) -> None:
    staging = job(STAGED, ROOMS)
    (step,) = steps_of(staging)
    assert (step.kind, step.model, step.job("stage", staging.items)) == (STAGED, MODEL, staging)
    assert first_key(home, home.items[0]) == staging.item_key(staging.items[0])
