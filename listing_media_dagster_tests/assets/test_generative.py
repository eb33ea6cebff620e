"""What a listing asks of generative models: jobs that a real worker works off, with editors that really draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import dagster as dg
import numpy as np
import pytest

from listing_media_dagster.assets import generative
from listing_media_dagster.assets.chosen_models import ChosenModels
from listing_media_dagster.assets.generative import (
    AFTER_STAGING,
    BEFORE_STAGING,
    alter_as_asked,
    asked_for,
    unaltered,
)
from listing_media_dagster.assets.model_work import ModelWork, StoredFiles
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.assets.tidying import tidy_as_asked
from listing_media_dagster.gpu.job import JobFolder, ModelJob, ModelRef, Needs, WorkKind
from listing_media_dagster.gpu.work import alter
from listing_media_dagster.gpu.work.bench import Bench
from listing_media_dagster.gpu.work.models import ModelsFound
from listing_media_dagster.gpu.worker import Assignment, work_off
from listing_media_dagster.listing import (
    GenerativeChoice,
    Listing,
    Operation,
    OperationName,
    Photo,
    PhotoSet,
    Room,
    RoomType,
    SourceFile,
    Verdict,
)
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.models.model import EditRequest, Rgb
from listing_media_dagster.models.warm import WarmModels
from listing_media_dagster.photo.encode import encode_jpeg
from listing_media_dagster_tests.helpers.known_rooms import each_room_looked_at_once  # noqa: F401
from listing_media_dagster_tests.helpers.pipeline import Pipeline, failure_of, write_rooms
from listing_media_dagster_tests.helpers.stand_in_editors import StandIn
from listing_media_dagster_tests.staging.test_declutter import Seeing, cluttered_room, filled_in
from listing_media_dagster_tests.staging.test_polish import Doubling, finer, with_a_window

SMALL = Operation(name=OperationName.EXPOSURE, version="1")
STAGED = Operation(name=OperationName.VIRTUAL_STAGING, version="1")


@dataclass
class Worker:
    """Sends jobs to a real worker in this process, and remembers them; `broken` breaks it."""

    folder: Path
    jobs: list[ModelJob] = field(default_factory=list)
    broken: bool = False

    def __call__(self, job: ModelJob, files: StoredFiles, take: generative.Take) -> Any:
        self.jobs.append(job)
        if self.broken:
            raise dg.Failure("the GPU fell off the bus")
        folder = JobFolder.create(self.folder / f"{len(self.jobs)}", job, files)
        assert not work_off([Assignment(folder)], Bench("cpu", WarmModels(), self.folder))
        for item in folder.result().items:
            take("cpu", item, lambda role, item=item: folder.read(item.outputs[role]))  # type: ignore[misc]
        return "routed"

    @property
    def kinds(self) -> list[WorkKind]:
        return [job.kind for job in self.jobs]


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path / "jobs")


@pytest.fixture
def stage(tmp_path: Path) -> StageRun:
    store = Pipeline(str(tmp_path / "media")).store
    return StageRun("house-1", "staged_photos", "1", store, "run-1", None)


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> dict[Stage, Callable[[EditRequest], Rgb]]:
    """What the worker's editors draw for each stage; tests change it."""
    draws = {Stage.DECLUTTER: filled_in, Stage.ENHANCEMENT: finer}

    def editors(refs: object, stage: Stage, bench: Bench, *, slow_cpu: bool) -> ModelsFound[Any]:
        return ModelsFound((StandIn(draws[stage]),), ())

    monkeypatch.setattr(alter, "find_editors", editors)
    monkeypatch.setattr(alter, "find_segmenter", lambda named, bench: Seeing([]) if named else None)
    monkeypatch.setattr(alter, "find_models", lambda *asked, **how: ModelsFound((Doubling(),), ()))
    return draws


def chosen(stage: Stage) -> ChosenModels:
    return ChosenModels(stage, (ModelRef(id=f"{stage.value}-model", weights_sha256="a" * 64),), Needs())


def photo(stage: StageRun, name: str = "den", **changes: Any) -> Photo:
    rgb = cluttered_room()[0]
    image, thumbnail = stage.write_picture(name, rgb, encode_jpeg(rgb, 95))
    made = Photo(
        photo_id=name,
        sources=(),
        image=image,
        room=Room(type=RoomType.BEDROOM),
        operations=(SMALL,),
        attachments={"thumbnail": thumbnail},
        fingerprint="of its staging",
    )
    return made.model_copy(update=changes)


def listing(**asked: Any) -> Listing:
    return Listing(id="house-1", generative=GenerativeChoice.model_validate(asked))


def altered(stage: StageRun, worker: Worker, before: Photo, choose: generative.Choose = chosen, **asked: Any) -> Photo:
    photos = {before.photo_id: before}
    for phase in (BEFORE_STAGING, AFTER_STAGING):
        photos, _ = alter_as_asked(photos, listing(**asked), 0, stage, choose, worker, phase)
    return photos[before.photo_id]


def test_only_named_photos_are_altered_and_all_means_all(stage: StageRun) -> None:
    den, hall = photo(stage, "den"), photo(stage, "hall")
    choice = GenerativeChoice(declutter=("den",), enhance=("all",))
    assert [each.word for each in asked_for(den, choice, BEFORE_STAGING)] == ["declutter"]
    assert [each.word for each in asked_for(den, choice, AFTER_STAGING)] == ["enhance"]
    assert asked_for(hall, choice, BEFORE_STAGING) == asked_for(den, GenerativeChoice(), AFTER_STAGING) == ()
    assert [each.word for each in asked_for(hall, choice, AFTER_STAGING)] == ["enhance"]


def test_nothing_is_sent_for_a_listing_that_asks_for_nothing(stage: StageRun, worker: Worker) -> None:
    before = photo(stage)
    assert altered(stage, worker, before) == before and not worker.jobs


def test_what_is_asked_for_is_done_in_turn_and_stays_paired_with_the_base(stage: StageRun, worker: Worker) -> None:
    before = photo(stage)
    after = altered(stage, worker, before, declutter=["den"], enhance="all", upscale=["den"])
    assert worker.kinds == [WorkKind.DECLUTTER, WorkKind.ENHANCE, WorkKind.UPSCALE]
    assert [operation.name for operation in after.operations] == [
        OperationName.EXPOSURE,
        OperationName.OBJECT_REMOVAL,
        OperationName.DIFFUSION_ENHANCEMENT,
        OperationName.DIFFUSION_UPSCALE,
    ]
    assert after.base == before.image and after.is_altered and not after.is_staged and not after.failed
    assert (after.image.width, after.image.height) == (600, 400)
    assert stage.pixels(after.image).shape == (400, 600, 3)
    assert not stage.media.verify([before.image, after.image, *after.attachments.values()])
    assert worker.jobs[1].items[0].parameters == {"room": "a bedroom"}


def test_what_an_earlier_run_made_is_kept_until_something_of_it_changes(stage: StageRun, worker: Worker) -> None:
    first = altered(stage, worker, photo(stage), enhance="all")
    assert altered(stage, worker, first, enhance="all") == first and len(worker.jobs) == 1
    altered(stage, worker, first, enhance=["den"], upscale=["den"])
    assert worker.kinds == [WorkKind.ENHANCE, WorkKind.ENHANCE, WorkKind.UPSCALE]

    def other_weights(of: Stage) -> ChosenModels:
        return ChosenModels(of, (ModelRef(id="other", weights_sha256="b" * 64),), Needs())

    altered(stage, worker, first, other_weights, enhance="all")
    assert len(worker.jobs) == 4


def test_a_photo_that_is_no_longer_asked_for_is_what_it_was(stage: StageRun, worker: Worker) -> None:
    before = photo(stage)
    after = altered(stage, worker, before, enhance="all")
    stored = Photo.model_validate_json(after.model_dump_json())
    assert stored.fingerprint == before.fingerprint
    assert altered(stage, worker, stored) == before == unaltered(stored, AFTER_STAGING)


def test_a_rejected_picture_leaves_the_photo_as_it_was_and_can_be_looked_at(
    stage: StageRun, worker: Worker, models: dict[Stage, Callable[[EditRequest], Rgb]]
) -> None:
    models[Stage.ENHANCEMENT] = with_a_window
    before = photo(stage)
    after = altered(stage, worker, before, enhance="all")
    assert (after.image, after.base, after.verdicts) == (before.image, None, ())
    assert after.facts["not_altered"]["enhance"].startswith("rejected: ")
    shown = cv2.imdecode(
        np.frombuffer(stage.media.read_verified(after.attachments["enhance-rejected.jpg"]), np.uint8), 1
    )
    assert shown is not None and shown.shape == (200, 300, 3)
    assert any("asked to enhance, not done: rejected" in said for said in stage.messages)


def test_where_no_model_is_to_be_had_the_photo_says_how_to_get_one(stage: StageRun, worker: Worker) -> None:
    def none(of: Stage) -> ChosenModels:
        return ChosenModels(of, (), Needs(), refusal="no model is installed: listing-media models pull sdxl-tile")

    after = altered(stage, worker, photo(stage), none, enhance="all")
    assert not worker.jobs and not after.is_altered
    assert "models pull sdxl-tile" in after.facts["not_altered"]["enhance"]


def test_declutter_without_a_segmenter_is_refused_by_the_worker_with_the_reason(
    stage: StageRun, worker: Worker
) -> None:
    def no_segmenter(of: Stage) -> ChosenModels:
        return ChosenModels(of, (), Needs()) if of is Stage.SEGMENTATION else chosen(of)

    after = altered(stage, worker, photo(stage), no_segmenter, declutter=["den"])
    assert "no segmentation model is installed" in after.facts["not_altered"]["declutter"]


def test_work_that_failed_is_asked_for_again_by_the_next_run(stage: StageRun, worker: Worker) -> None:
    worker.broken = True
    after = altered(stage, worker, photo(stage), enhance="all")
    assert not after.is_altered and "fell off the bus" in after.facts["not_altered"]["enhance"]
    worker.broken = False
    again = altered(stage, worker, after, enhance="all")
    assert again.is_altered and len(worker.jobs) == 2 and "not_altered" not in again.facts


def test_a_room_whose_staging_was_rejected_is_not_touched(stage: StageRun, worker: Worker) -> None:
    base = photo(stage).image
    staged = photo(stage, "lounge", base=base, operations=(SMALL, STAGED))
    rejected = staged.model_copy(update={"verdicts": (Verdict(gate="structure", outcome="failed"),)})
    assert "was rejected" in altered(stage, worker, rejected, enhance="all").facts["not_altered"]["enhance"]
    assert not worker.jobs


def test_a_staged_room_that_is_enhanced_keeps_its_base_and_loses_clips_word_on_the_picture_before(
    stage: StageRun, worker: Worker
) -> None:
    base = photo(stage, "base").image
    passed = Verdict(gate="clip", outcome="passed", score=0.8)
    staged = photo(stage, "lounge", base=base, operations=(SMALL, STAGED), verdicts=(passed,))
    after = altered(stage, worker, staged, enhance="all")
    assert after.base == base and [verdict.gate for verdict in after.verdicts] == ["structure"]
    assert unaltered(after, AFTER_STAGING) == staged


def test_a_run_of_the_pipeline_does_what_listing_yaml_asks_and_labels_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop = write_rooms(tmp_path / "drop", ["kitchen.jpg", "den.jpg"], (400, 300))
    (drop / "listing.yaml").write_text("stage: {exclude: [den.jpg]}\ngenerative: {enhance: [den.jpg]}\n")
    monkeypatch.setattr(ModelWork, "choose", lambda work, stage: chosen(stage) if stage is Stage.ENHANCEMENT else none)
    none = ChosenModels(Stage.STAGING, (), Needs())
    pipeline = Pipeline(str(tmp_path / "media"))
    stages = ("raw_photos", "preprocessed_photos", "enhanced_photos", "staged_photos", "clip_scores")
    for _ in range(2):
        result = pipeline.run(*stages, source=drop)
        assert result.success, failure_of(result)
        den, kitchen = sorted(pipeline.photo_set("staged_photos").photos, key=lambda photo: photo.photo_id)
        assert not kitchen.is_altered and den.is_altered, den.facts.get("not_altered")
        assert den.base == pipeline.photo_set("enhanced_photos").photo(den.photo_id).image  # type: ignore[union-attr]
        assert den.operations[-1].name == OperationName.DIFFUSION_ENHANCEMENT and den.route == "cpu"
    assert pipeline.photo_set("staged_photos").stage.computed == 0
    (shown,) = [made.metadata for made in result.asset_materializations_for_node("staged_photos")]
    assert (shown["staged"].value, shown["altered"].value, shown["passed_on"].value) == (0, 1, 1)


def tidied(stage: StageRun, worker: Worker, before: Photo, **asked: Any) -> Photo:
    made, _ = tidy_as_asked({before.photo_id: before}, listing(**asked), 0, stage, chosen, worker)
    return made[before.photo_id]


def test_a_room_is_tidied_once_and_is_then_like_any_other_to_what_follows(stage: StageRun, worker: Worker) -> None:
    before = photo(stage)
    first = tidied(stage, worker, before, declutter=["den"])
    assert first.base == before.image and first.operations[-1].name is OperationName.OBJECT_REMOVAL
    assert first.facts == before.facts
    assert tidied(stage, worker, before, declutter=["den"]) == first and len(worker.jobs) == 1
    assert tidied(stage, worker, before) == before
    enhanced = altered(stage, worker, first, enhance="all")
    assert enhanced.base == before.image and unaltered(enhanced, AFTER_STAGING) == first


def test_another_base_is_tidied_anew(stage: StageRun, worker: Worker) -> None:
    before = photo(stage)
    tidied(stage, worker, before, declutter=["den"])
    tidied(stage, worker, before.model_copy(update={"operations": (SMALL, SMALL)}), declutter=["den"])
    assert len(worker.jobs) == 2


def test_what_was_before_survives_the_end_of_the_stage(stage: StageRun, worker: Worker, tmp_path: Path) -> None:
    """Whatever no photo claims is removed when a stage's manifest is written."""
    before = photo(stage)
    before = before.model_copy(
        update={"sources": (SourceFile(name="den.jpg", key=before.image.key, sha256=before.image.sha256),)}
    )
    tidy = tidied(stage, worker, before, declutter=["den"])
    after = altered(stage, worker, tidy, enhance="all")
    sets = Pipeline(str(tmp_path / "media")).resource.photo_sets()
    sets.save(PhotoSet(listing=listing(), asset="staged_photos", photos=(after,)))
    was = unaltered(after, AFTER_STAGING)
    assert was == tidy and not stage.media.verify([was.image, *was.attachments.values()])
    worker.jobs.clear()
    assert tidied(stage, worker, before, declutter=["den"]) == tidy and not worker.jobs
