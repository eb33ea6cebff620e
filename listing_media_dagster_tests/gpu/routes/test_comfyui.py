from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from listing_media_dagster import sample_listing
from listing_media_dagster.assets.chosen_models import choose_models
from listing_media_dagster.gpu.job import Item, JobFolder, ModelJob, Needs, WorkKind, job_file
from listing_media_dagster.gpu.routes import comfyui
from listing_media_dagster.gpu.routes.comfyui import ComfyRoute, served_models
from listing_media_dagster.gpu.routes.route import JobCancelled, Listener, RouteFailed
from listing_media_dagster.gpu.work.animate import CLIP, PICTURE, ROOM
from listing_media_dagster.models.comfyui.pictures import ComfyAnimator
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.settings import Settings
from listing_media_dagster_tests.helpers.fake_comfyui import FakeComfyUI, fake_comfyui
from listing_media_dagster_tests.helpers.jobs import write_enhance_job


@pytest.fixture
def comfy(monkeypatch) -> Iterator[FakeComfyUI]:
    with fake_comfyui() as running:
        ask = comfyui.server_of
        monkeypatch.setattr(comfyui, "server_of", lambda at: _impatient(ask(at)))
        yield running


def _impatient(server):
    return type(server)(server.url, server.api_key, poll_seconds=0.02)


def settings_for(comfy: FakeComfyUI, **more) -> Settings:
    return Settings(_env_file=None, comfyui_url=comfy.url, routes="comfyui,cpu", comfyui_animate="fastwan_i2v", **more)


def polish_job(path: Path, at: Settings) -> JobFolder:
    """Write a job that asks the server's editor to rework one drawn room."""
    plain = write_enhance_job(path / "plain", items=1, size=(640, 426))
    model = choose_models(Stage.ENHANCEMENT, ("comfyui", "cpu"), at)
    job = plain.job.model_copy(update={"model": model.first, "needs": model.needs})
    return JobFolder.create(path / "job", job, {"inputs/room-0.jpg": plain.read(plain.job.items[0].inputs["picture"])})


def test_a_job_names_the_workflow_and_its_digest(comfy):
    at = settings_for(comfy)
    chosen = choose_models(Stage.STAGING, ("comfyui", "cpu"), at)
    assert chosen.first and chosen.first.id.startswith("comfyui/qwen_image_edit@")
    assert chosen.needs.gpu == "optional"
    assert choose_models(Stage.STAGING, ("cuda", "cpu"), at).first is None


def test_work_is_done_here_with_the_servers_editor(comfy, tmp_path):
    at = settings_for(comfy)
    job = polish_job(tmp_path, at)
    report = ComfyRoute(at).run(job, Listener())
    (result,) = job.result().items
    assert comfy.executed
    assert report.device == "ComfyUI: cuda:0 Fake GPU"
    assert result.outcome in ("ok", "refused"), result.reason
    assert "comfyui/qwen_image_edit@" in result.model_dump_json()


def test_a_second_attempt_fetches_what_the_first_had_drawn(comfy, tmp_path):
    at = settings_for(comfy)
    ComfyRoute(at).run(polish_job(tmp_path / "first", at), Listener())
    drawn = len(comfy.executed)
    ComfyRoute(at).run(polish_job(tmp_path / "second", at), Listener())
    assert len(comfy.executed) == drawn


def test_cancelling_the_run_cancels_the_servers_prompt(comfy, tmp_path):
    comfy.held = True
    at = settings_for(comfy)
    job = polish_job(tmp_path, at)
    with pytest.raises(JobCancelled):
        ComfyRoute(at).run(job, Listener(is_cancelled=lambda: bool(comfy.submitted)))
    assert comfy.cancelled and not comfy.queue


def test_a_server_that_goes_away_in_the_middle_fails_the_route_and_not_the_photo(comfy, tmp_path):
    def goes_away() -> bool:
        comfy.busy_answers = 10**6 if comfy.submitted else 0
        return False

    at = settings_for(comfy)
    job = polish_job(tmp_path, at)
    with pytest.raises(RouteFailed, match="answered 503") as failed:
        ComfyRoute(at).run(job, Listener(is_cancelled=goes_away))
    assert failed.value.may_succeed_later
    comfy.busy_answers = 0
    ComfyRoute(at).run(job, Listener())
    assert job.result().items[0].outcome in ("ok", "refused")


def test_a_failing_workflow_fails_the_item_with_the_nodes_words(comfy, tmp_path):
    comfy.missing_models = {"qwen_image_vae.safetensors"}
    at = settings_for(comfy)
    job = polish_job(tmp_path, at)
    ComfyRoute(at).run(job, Listener())
    assert "is that model file on the server" in job.result().items[0].reason


def test_a_photo_set_in_motion_by_the_server_is_judged_like_any_clip(comfy, tmp_path, monkeypatch):
    at = settings_for(comfy)
    animator = served_models(at)[Stage.ANIMATION]
    short = ComfyAnimator(animator.server, animator.workflow, animator.lora, frames=9)
    monkeypatch.setattr(comfyui, "served_models", lambda at: {Stage.ANIMATION: short})
    photo = cv2.imread(str(Path(sample_listing.__file__).parent / "drop" / "DSC_0412.JPG"))
    data = cv2.imencode(".jpg", cv2.resize(photo, (960, 640), interpolation=cv2.INTER_AREA))[1].tobytes()
    picture = job_file("inputs/room.jpg", data)
    model = choose_models(Stage.ANIMATION, ("comfyui",), at)
    item = Item(id="room", inputs={PICTURE: picture}, parameters={ROOM: "living_room"})
    job = ModelJob(id="motion", kind=WorkKind.ANIMATE, model=model.first, items=(item,), needs=Needs(gpu="optional"))
    folder = JobFolder.create(tmp_path / "job", job, {picture.path: data})
    ComfyRoute(at).run(folder, Listener())
    (result,) = folder.result().items
    assert result.outcome == "ok", result.reason
    assert folder.read(result.outputs[CLIP])[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"comfyui_url": None}, "set LISTING_MEDIA_COMFYUI_URL"),
        ({"comfyui_url": "http://127.0.0.1:9"}, "no ComfyUI answers"),
        ({"comfyui_edit": "/nowhere.json"}, "no workflow file"),
        ({"comfyui_url": "ftp://host"}, "http"),
    ],
)
def test_a_route_that_leads_nowhere_refuses_with_the_reason(comfy, changes, says):
    at = settings_for(comfy).model_copy(update=changes)
    refusal = ComfyRoute(at).refusal(Needs(gpu="optional"))
    assert refusal and says in refusal


def motion_job(path: Path, at: Settings) -> ModelJob:
    model = choose_models(Stage.ANIMATION, ("comfyui",), at)
    return write_enhance_job(path).job.model_copy(update={"model": model.first})


def test_a_workflow_without_the_lora_it_has_a_place_for_is_refused_before_any_photo(comfy, tmp_path):
    at = settings_for(comfy).model_copy(update={"comfyui_animate": "wan22_i2v"})
    refusal = ComfyRoute(at).refusal(Needs(gpu="optional"), motion_job(tmp_path / "motion", at))
    assert refusal and "wan22_i2v has a place for a LoRA: set LISTING_MEDIA_COMFYUI_LORA" in refusal
    assert ComfyRoute(at).refusal(Needs(gpu="optional"), polish_job(tmp_path, at).job) is None
    given = at.model_copy(update={"comfyui_lora": "our_style.safetensors"})
    assert ComfyRoute(given).refusal(Needs(gpu="optional"), motion_job(tmp_path / "given", given)) is None


def test_a_lora_that_no_workflow_has_a_place_for_is_said(comfy, tmp_path):
    at = settings_for(comfy, comfyui_lora="our_style.safetensors")
    refusal = ComfyRoute(at).refusal(Needs(gpu="optional"), polish_job(tmp_path, at).job)
    assert refusal and "none of the workflows has a place {{lora}}" in refusal


def test_jobs_that_name_no_workflow_go_on_to_the_next_route(comfy, tmp_path):
    route = ComfyRoute(settings_for(comfy))
    assert "nothing in it is for a workflow" in str(
        route.refusal(Needs(gpu="optional"), write_enhance_job(tmp_path / "job").job)
    )
    assert np.all([route.refusal(Needs(gpu="none"))])
