import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from listing_media_dagster.models.comfyui.pictures import ComfyAnimator, ComfyEditor, ComfyPresenter, Lora
from listing_media_dagster.models.comfyui.server import ComfyFailed, ComfyUI
from listing_media_dagster.models.comfyui.workflow import Task, load_workflow
from listing_media_dagster.models.model import AnimateRequest, EditRequest, ModelFailed
from listing_media_dagster_tests.helpers.fake_comfyui import FakeComfyUI, fake_comfyui, tint_of


@pytest.fixture
def comfy() -> Iterator[FakeComfyUI]:
    with fake_comfyui() as running:
        yield running


def server_of(comfy: FakeComfyUI, **how) -> ComfyUI:
    return ComfyUI(comfy.url, poll_seconds=0.01, **how)


def editor_of(comfy: FakeComfyUI, **how) -> ComfyEditor:
    return ComfyEditor(server_of(comfy, **how), load_workflow("qwen_image_edit", Task.EDIT))


def room(width=96, height=64, seed=3):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def request(**changes) -> EditRequest:
    mask = np.zeros((64, 96), np.float32)
    mask[:, 48:] = 1
    return EditRequest(**{"image": room(), "prompt": "a sofa", "seed": 11, "mask": mask, "strength": 0.5, **changes})


def test_every_value_arrives_at_its_node(comfy):
    asked = request(start=room(seed=4))
    (made,) = editor_of(comfy).edit([asked])
    tinted = room(seed=4) * 0.5 + np.array(tint_of("a sofa", 11)) * 0.5
    assert np.array_equal(made[:, :48], room(seed=4)[:, :48])
    assert np.abs(made[:, 50:] - tinted[:, 50:]).max() <= 1


def test_the_same_edit_is_not_run_twice(comfy):
    editor_of(comfy).edit([request()])
    editor_of(comfy).edit([request()])
    assert len(comfy.executed) == len(comfy.submitted) == 1


def test_another_seed_is_another_run(comfy):
    first, second = editor_of(comfy).edit([request(), request(seed=12)])
    assert len(comfy.executed) == 2
    assert not np.array_equal(first, second)


def test_an_edit_that_is_already_queued_is_awaited_not_submitted_again(comfy):
    comfy.held = True
    asks = iter(range(3))

    def die(step: int, steps: int) -> None:
        if next(asks) == 1:
            raise SystemExit  # as a poller that is killed would: nothing is cancelled

    editor = editor_of(comfy)
    original, ComfyUI.cancel = ComfyUI.cancel, lambda self, prompt_id: None  # type: ignore[method-assign]
    try:
        with pytest.raises(SystemExit):
            editor.edit([request()], die)
    finally:
        ComfyUI.cancel = original  # type: ignore[method-assign]
    comfy.held = False
    editor.edit([request()])
    assert len(comfy.submitted) == 1


@pytest.mark.parametrize("old_server", [False, True])
def test_a_cancelled_edit_leaves_the_servers_queue(comfy, old_server):
    comfy.held, comfy.without_jobs_api = True, old_server

    class Stopped(Exception):
        pass

    def stop(step: int, steps: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        editor_of(comfy).edit([request()], stop)
    assert comfy.cancelled == comfy.submitted
    assert not comfy.queue


def test_a_failed_run_is_told_by_node_and_can_be_tried_again(comfy):
    comfy.failing_nodes = ["KSampler"]
    with pytest.raises(ModelFailed, match=r"node 14 \(KSampler\): Allocation on device failed"):
        editor_of(comfy).edit([request()])
    editor_of(comfy).edit([request()])
    assert len(comfy.executed) == 2


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"missing_models": {"qwen_image_vae.safetensors"}}, "node 3 .*is that model file on the server"),
        ({"missing_nodes": {"CFGNorm"}}, "Node 'CFGNorm' not found.*install that custom node"),
    ],
)
def test_a_server_that_lacks_something_says_what(comfy, fault, says):
    for name, value in fault.items():
        setattr(comfy, name, value)
    with pytest.raises(ModelFailed, match=says):
        editor_of(comfy).edit([request()])


def test_a_busy_server_is_asked_again(comfy):
    comfy.busy_answers = 2
    editor_of(comfy).edit([request()])
    assert len(comfy.executed) == 1


def test_a_download_cut_short_is_never_taken_for_a_result(comfy):
    comfy.cut_downloads = 1
    with pytest.raises(ModelFailed):
        editor_of(comfy).edit([request()])
    editor_of(comfy).edit([request()])
    assert len(comfy.executed) == 1


def test_a_prompt_that_a_restarted_server_forgot_is_submitted_once_more(comfy):
    comfy.loses_prompts = 1
    editor_of(comfy).edit([request()])
    assert len(comfy.executed) == 1


def test_a_server_that_forgets_the_prompt_again_is_said_to_be_restarted(comfy):
    comfy.loses_prompts = 2
    with pytest.raises(ModelFailed, match="is it restarted"):
        editor_of(comfy).edit([request()])


def test_a_server_that_chooses_its_own_ids_is_refused(comfy):
    comfy.chooses_own_ids = True
    with pytest.raises(ModelFailed, match="update ComfyUI"):
        editor_of(comfy).edit([request()])


def test_the_key_is_sent_and_never_shown(comfy):
    comfy.key = "k-123-secret"
    assert server_of(comfy, api_key="k-123-secret").refusal() is None
    refusal = server_of(comfy, api_key="k-wrong-secret").refusal()
    assert refusal and "LISTING_MEDIA_COMFYUI_API_KEY" in refusal
    assert "secret" not in refusal + repr(server_of(comfy, api_key="k-wrong-secret"))


def test_an_address_with_a_password_is_refused():
    with pytest.raises(ValueError, match="without a user or password"):
        ComfyUI("http://me:secret@127.0.0.1:8188")


def test_no_server_is_a_reason():
    refusal = ComfyUI("http://127.0.0.1:9", poll_seconds=0.01).refusal()
    assert refusal and "no ComfyUI answers at http://127.0.0.1:9" in refusal


def test_a_prompt_that_takes_too_long_is_cancelled(comfy):
    comfy.held = True
    with pytest.raises(ModelFailed, match="hadn't finished after"):
        editor_of(comfy, patience_seconds=0.1).edit([request()])
    assert comfy.cancelled == comfy.submitted


def test_a_result_that_is_no_picture_is_refused(comfy):
    editor = editor_of(comfy)
    editor.edit([request()])
    for name in comfy.saved:
        comfy.saved[name] = b"<html>busy</html>"
    with pytest.raises(ModelFailed, match="no picture"):
        editor.edit([request()])


def test_a_flat_picture_is_refused(comfy):
    flat = request(image=np.zeros((64, 96, 3), np.uint8), strength=0.0)
    with pytest.raises(ModelFailed, match="one flat colour"):
        editor_of(comfy).edit([flat])


@pytest.mark.parametrize("name", ["wan22_i2v", "fastwan_i2v"])
def test_a_photo_is_set_in_motion(comfy, name):
    animator = ComfyAnimator(server_of(comfy), load_workflow(name, Task.ANIMATE), Lora("house-style.safetensors", 0.8))
    photo = cv2.resize(room(), (192, 128))
    frames = animator.animate(AnimateRequest(photo, "slow dolly", seed=1, frames=5))
    assert len(frames) == 5
    assert frames[0].shape[1] % 32 == frames[0].shape[0] % 32 == 0


def test_a_workflow_with_a_place_for_a_lora_wants_one(comfy):
    animator = ComfyAnimator(server_of(comfy), load_workflow("wan22_i2v", Task.ANIMATE))
    with pytest.raises(ModelFailed, match="wants lora, lora_strength"):
        animator.animate(AnimateRequest(room(), "slow dolly", seed=1, frames=5))


def test_a_presenter_speaks_the_script(comfy):
    presenter = ComfyPresenter(server_of(comfy), load_workflow("infinitetalk_presenter", Task.PRESENT))
    film = presenter.present(room(), "Welcome.", seed=2)
    assert film[4:8] == b"ftyp"


@pytest.mark.parametrize(("script", "says"), [("  ", "empty"), ("word " * 400, "400 words; ")])
def test_a_script_that_cannot_be_spoken_is_refused(comfy, script, says):
    presenter = ComfyPresenter(server_of(comfy), load_workflow("infinitetalk_presenter", Task.PRESENT))
    with pytest.raises(ModelFailed, match=says):
        presenter.present(room(), script, seed=2)


def test_a_failure_of_the_server_is_told_from_one_of_the_work(comfy):
    comfy.busy_answers = 20
    with pytest.raises(ComfyFailed) as failed:
        server_of(comfy).upload(b"x", ".png")
    assert failed.value.may_succeed_later


@contextmanager
def another_program(body: bytes) -> Iterator[str]:
    """Serve `body` to whatever is asked, as a login page or a proxy would."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[1]", b"{}"])
def test_what_is_not_comfyui_is_said(body):
    with another_program(body) as url:
        editor = ComfyEditor(ComfyUI(url, poll_seconds=0.01), load_workflow("qwen_image_edit", Task.EDIT))
        with pytest.raises(ModelFailed, match="isn't ComfyUI"):
            editor.edit([request()])


def test_a_server_that_goes_away_before_the_submit_is_named(monkeypatch):
    graph = {"1": {"class_type": "SaveImage", "inputs": {}}}
    monkeypatch.setattr(ComfyUI, "_is_queued", lambda self, prompt_id: False)
    monkeypatch.setattr(ComfyUI, "_history", lambda self, prompt_id: None)
    gone = ComfyUI("http://127.0.0.1:9", poll_seconds=0.01)
    with pytest.raises(ComfyFailed, match=r"no ComfyUI answers at http://127\.0\.0\.1:9") as failed:
        gone.run(graph, "1")
    assert failed.value.may_succeed_later


def test_another_lora_or_strength_is_another_model(comfy):
    workflow = load_workflow("wan22_i2v", Task.ANIMATE)
    loras = (None, Lora("style.safetensors", 0.5), Lora("style.safetensors", 0.6), Lora("other.safetensors", 0.5))
    assert len({ComfyAnimator(server_of(comfy), workflow, lora).entry.id for lora in loras}) == 4
    without_place = load_workflow("qwen_image_edit", Task.EDIT)
    assert len({ComfyEditor(server_of(comfy), without_place, lora).entry.id for lora in loras}) == 1
