"""A ComfyUI server for tests: it checks a graph as ComfyUI does and executes it, node by node, on real pixels.

Its models are plain arithmetic (a sampler tints what it starts from, by prompt, seed and strength, inside the mask), so
a test can tell from the result which values arrived at which node. Faults are switched on by attribute.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import av
import cv2
import numpy as np

MODELS = {
    "qwen_image_edit_2511_fp8mixed.safetensors",
    "Qwen-Image-Edit-2511-Lightning-4steps-V1.0-bf16.safetensors",
    "qwen_2.5_vl_7b_fp8_scaled.safetensors",
    "qwen_image_vae.safetensors",
    "wan2.2_ti2v_5B_fp16.safetensors",
    "umt5_xxl_fp8_e4m3fn_scaled.safetensors",
    "wan2.2_vae.safetensors",
    "Wan2_2_5B_FastWanFullAttn_lora_rank_128_bf16.safetensors",
    "Wan2_1-I2V-14B-480p_fp8_e4m3fn_scaled_KJ.safetensors",
    "lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors",
    "wan2.1_infiniteTalk_single_fp16.safetensors",
    "Wan2_1_VAE_bf16.safetensors",
    "clip_vision_h.safetensors",
    "wav2vec2-chinese-base_fp16.safetensors",
    "house-style.safetensors",
}
LOADERS = {
    "UNETLoader": "unet_name",
    "CLIPLoader": "clip_name",
    "VAELoader": "vae_name",
    "CLIPVisionLoader": "clip_name",
    "AudioEncoderLoader": "audio_encoder_name",
    "ModelPatchLoader": "name",
    "LoraLoaderModelOnly": "lora_name",
}
REQUIRED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "UNETLoader": {"unet_name": str, "weight_dtype": str},
    "CLIPLoader": {"clip_name": str, "type": str},
    "VAELoader": {"vae_name": str},
    "CLIPVisionLoader": {"clip_name": str},
    "AudioEncoderLoader": {"audio_encoder_name": str},
    "ModelPatchLoader": {"name": str},
    "LoraLoaderModelOnly": {"model": list, "lora_name": str, "strength_model": (int, float)},
    "ModelSamplingAuraFlow": {"model": list, "shift": (int, float)},
    "ModelSamplingSD3": {"model": list, "shift": (int, float)},
    "CFGNorm": {"model": list, "strength": (int, float)},
    "LoadImage": {"image": str},
    "LoadImageMask": {"image": str, "channel": str},
    "TextEncodeQwenImageEditPlus": {"clip": list, "prompt": str},
    "CLIPTextEncode": {"clip": list, "text": str},
    "CLIPVisionEncode": {"clip_vision": list, "image": list, "crop": str},
    "VAEEncode": {"pixels": list, "vae": list},
    "SetLatentNoiseMask": {"samples": list, "mask": list},
    "Wan22ImageToVideoLatent": {"vae": list, "width": int, "height": int, "length": int, "batch_size": int},
    "KSampler": {"model": list, "positive": list, "negative": list, "latent_image": list, "seed": int, "steps": int,
                 "cfg": (int, float), "sampler_name": str, "scheduler": str, "denoise": (int, float)},
    "VAEDecode": {"samples": list, "vae": list},
    "SaveImage": {"images": list, "filename_prefix": str},
    "CreateVideo": {"images": list, "fps": (int, float)},
    "SaveVideo": {"video": list, "filename_prefix": str, "format": str, "codec": str},
    "FL_ChatterboxTTS": {"text": str, "seed": int},
    "AudioEncoderEncode": {"audio_encoder": list, "audio": list},
    "WanInfiniteTalkToVideo": {"mode": str, "model": list, "model_patch": list, "positive": list, "negative": list,
                               "vae": list, "width": int, "height": int, "length": int, "start_image": list,
                               "audio_encoder_output_1": list},
    "RandomNoise": {"noise_seed": int},
    "KSamplerSelect": {"sampler_name": str},
    "BasicScheduler": {"model": list, "scheduler": str, "steps": int, "denoise": (int, float)},
    "CFGGuider": {"model": list, "positive": list, "negative": list, "cfg": (int, float)},
    "SamplerCustomAdvanced": {"noise": list, "guider": list, "sampler": list, "sigmas": list, "latent_image": list},
}  # fmt: skip


@dataclass
class FakeComfyUI:
    """`held` keeps prompts from running until it is cleared; the other attributes are faults, each used up once."""

    key: str | None = None
    held: bool = False
    busy_answers: int = 0
    cut_downloads: int = 0
    failing_nodes: list[str] = field(default_factory=list)
    loses_prompts: int = 0
    chooses_own_ids: bool = False
    without_jobs_api: bool = False
    missing_models: set[str] = field(default_factory=set)
    missing_nodes: set[str] = field(default_factory=set)
    uploads: dict[str, bytes] = field(default_factory=dict)
    saved: dict[str, bytes] = field(default_factory=dict)
    submitted: list[str] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    queue: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    history: dict[str, dict[str, Any]] = field(default_factory=dict)
    url: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def look(self) -> None:
        """Do what is waiting, as the worker behind a real server would between two requests."""
        with self._lock:
            while self.queue and not self.held:
                prompt_id, graph = self.queue.pop(0)
                if self.loses_prompts:
                    self.loses_prompts -= 1
                    continue
                self.executed.append(prompt_id)
                self.history[prompt_id] = self._executed(graph)

    def _executed(self, graph: dict[str, Any]) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        done: dict[str, Any] = {}
        for node_id, node in graph.items():
            if not node["class_type"].startswith("Save"):
                continue
            try:
                data, suffix = self._value(graph, node_id, done)
            except _NodeFailed as failed:
                about = {"node_id": failed.node_id, "node_type": failed.kind, "exception_message": str(failed)}
                status = {"status_str": "error", "completed": False, "messages": [["execution_error", about]]}
                return {"outputs": {}, "status": status}
            name = f"{hashlib.sha256(data).hexdigest()[:12]}{suffix}"
            self.saved[name] = data
            outputs[node_id] = {"images": [{"filename": name, "subfolder": "listing_media", "type": "output"}]}
        return {"outputs": outputs, "status": {"status_str": "success", "completed": True, "messages": []}}

    def _value(self, graph: dict[str, Any], node_id: str, done: dict[str, Any]) -> Any:
        if node_id not in done:
            node = graph[node_id]
            if node["class_type"] in self.failing_nodes:
                self.failing_nodes.remove(node["class_type"])
                raise _NodeFailed("Allocation on device failed: out of memory", node_id, node["class_type"])
            given = {
                name: self._value(graph, value[0], done) if isinstance(value, list) else value
                for name, value in node["inputs"].items()
            }
            done[node_id] = _compute(node["class_type"], given, self.uploads)
        return done[node_id]

    def errors_of(self, graph: dict[str, Any]) -> dict[str, Any]:
        """Return ComfyUI's answer to a graph that can't be run: {} if it can."""
        found: dict[str, Any] = {}
        for node_id, node in graph.items():
            kind = node["class_type"]
            if kind not in REQUIRED or kind in self.missing_nodes:
                error = {"type": "missing_node_type", "message": f"Node '{kind}' not found.", "details": "install it"}
                return {"error": error, "node_errors": {}}
            errors = []
            for name, types in REQUIRED[kind].items():
                value = node["inputs"].get(name)
                if value is None:
                    errors.append(_error("required_input_missing", "Required input is missing", name))
                elif not isinstance(value, list) and not isinstance(value, types):
                    errors.append(_error("invalid_input_type", "wrong type", f"{name}, {value!r}"))
            file = node["inputs"].get(LOADERS.get(kind, ""), "")
            if kind in LOADERS and file not in MODELS - self.missing_models:
                details = f"{LOADERS[kind]}: '{file}' not in list"
                errors.append(_error("value_not_in_list", "Value not in list", details))
            if kind.startswith("LoadImage") and node["inputs"].get("image") not in self.uploads:
                errors.append(_error("custom_validation_failed", "Invalid image file", "image"))
            if errors:
                found[node_id] = {"errors": errors, "dependent_outputs": [], "class_type": kind}
        if not found:
            return {}
        error = {
            "type": "prompt_outputs_failed_validation",
            "message": "Prompt outputs failed validation",
            "details": "",
        }
        return {"error": error, "node_errors": found}


def _error(kind: str, message: str, details: str) -> dict[str, str]:
    return {"type": kind, "message": message, "details": details}


class _NodeFailed(Exception):
    def __init__(self, reason: str, node_id: str, kind: str) -> None:
        super().__init__(reason)
        self.node_id = node_id
        self.kind = kind


def tint_of(prompt: str, seed: int) -> tuple[int, int, int]:
    """Return the colour that the fake's sampler paints for a prompt and a seed."""
    digest = hashlib.sha256(f"{prompt}|{seed}".encode()).digest()
    return digest[0], digest[1], digest[2]


def _compute(kind: str, given: dict[str, Any], uploads: dict[str, bytes]) -> Any:
    if kind == "LoadImage":
        return _decoded(uploads[given["image"]])
    if kind == "LoadImageMask":
        return _decoded(uploads[given["image"]])[..., 0] / np.float32(255)
    if kind in ("TextEncodeQwenImageEditPlus", "CLIPTextEncode"):
        return given.get("prompt", given.get("text"))
    if kind == "VAEEncode":
        return {"start": given["pixels"], "mask": None, "frames": 1}
    if kind == "SetLatentNoiseMask":
        return {**given["samples"], "mask": given["mask"]}
    if kind == "Wan22ImageToVideoLatent":
        start = cv2.resize(given["start_image"], (given["width"], given["height"]))
        return {"start": start, "mask": None, "frames": given["length"]}
    if kind == "WanInfiniteTalkToVideo":
        start = cv2.resize(given["start_image"], (given["width"], given["height"]))
        return {"start": start, "mask": None, "frames": given["length"], "positive": given["positive"]}
    if kind == "RandomNoise":
        return given["noise_seed"]
    if kind == "CFGGuider":
        return given["positive"]["positive"]
    if kind == "KSampler":
        strength = given["denoise"] if given["latent_image"]["frames"] == 1 else 0.05
        return _sampled(given["latent_image"], given["positive"], given["seed"], strength)
    if kind == "SamplerCustomAdvanced":
        return _sampled(given["latent_image"], given["guider"], given["noise"], 0.3)
    if kind == "VAEDecode":
        return given["samples"]
    if kind == "SaveImage":
        return cv2.imencode(".png", given["images"][0][..., ::-1])[1].tobytes(), ".png"
    if kind == "CreateVideo":
        return _film(given["images"], int(given["fps"]))
    if kind == "SaveVideo":
        return given["video"], ".mp4"
    return given  # loaders and what patches a model


def _sampled(latent: dict[str, Any], prompt: str, seed: int, strength: float) -> list[np.ndarray[Any, Any]]:
    start = latent["start"].astype(np.float32)
    mask = np.float32(1) if latent["mask"] is None else cv2.resize(latent["mask"], start.shape[1::-1])[..., None]
    tinted = start * (1 - strength) + np.array(tint_of(prompt, seed), np.float32) * strength
    picture = start + (tinted - start) * mask
    return [_nearer(np.clip(picture, 0, 255).astype(np.uint8), number) for number in range(latent["frames"])]


def _nearer(picture: np.ndarray[Any, Any], step: int) -> np.ndarray[Any, Any]:
    """Return the picture as a camera that moves slowly toward its middle sees it after `step` frames."""
    if step == 0:
        return picture
    height, width = picture.shape[:2]
    zoom = cv2.getRotationMatrix2D((width / 2, height / 2), 0, 1 + 0.002 * step)
    return cv2.warpAffine(picture, zoom, (width, height), flags=cv2.INTER_LINEAR)


def _film(frames: list[np.ndarray[Any, Any]], fps: int) -> bytes:
    held = io.BytesIO()
    with av.open(held, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode())
    return held.getvalue()


def _decoded(data: bytes) -> np.ndarray[Any, Any]:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded[..., ::-1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    comfy: FakeComfyUI

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        comfy, path = self.comfy, urlsplit(self.path)
        if self._is_turned_away():
            return
        comfy.look()
        if path.path == "/system_stats":
            self._answer({"system": {}, "devices": [{"name": "cuda:0 Fake GPU", "type": "cuda"}]})
        elif path.path.startswith("/history/"):
            prompt_id = path.path.rsplit("/", 1)[-1]
            self._answer({prompt_id: comfy.history[prompt_id]} if prompt_id in comfy.history else {})
        elif path.path == "/queue":
            self._answer({"queue_running": [], "queue_pending": [[0, each[0], each[1]] for each in comfy.queue]})
        elif path.path == "/view":
            data = comfy.saved.get(parse_qs(path.query)["filename"][0])
            if data is None:
                self._answer({}, 404)
                return
            sent = data
            if comfy.cut_downloads:
                comfy.cut_downloads -= 1
                sent = data[: len(data) // 2]
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(sent)
            self.close_connection = len(sent) < len(data)
        else:
            self._answer({}, 404)

    def do_POST(self) -> None:
        comfy = self.comfy
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._is_turned_away():
            return
        if self.path == "/upload/image":
            message = message_from_bytes(b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
            parts = {part.get_param("name", header="content-disposition"): part for part in message.get_payload()}  # type: ignore[union-attr, arg-type]
            name = parts["image"].get_filename()  # type: ignore[union-attr]
            comfy.uploads[str(name)] = parts["image"].get_payload(decode=True)  # type: ignore[union-attr, assignment]
            self._answer({"name": name, "subfolder": "", "type": "input"})
        elif self.path == "/prompt":
            asked = json.loads(body)
            errors = comfy.errors_of(asked["prompt"])
            if errors:
                self._answer(errors, 400)
                return
            prompt_id = str(uuid.uuid4()) if comfy.chooses_own_ids else asked["prompt_id"]
            comfy.submitted.append(prompt_id)
            comfy.queue.append((prompt_id, asked["prompt"]))
            self._answer({"prompt_id": prompt_id, "number": len(comfy.submitted), "node_errors": {}})
        elif self.path.endswith("/cancel") and not comfy.without_jobs_api:
            self._cancel(self.path.split("/")[-2])
        elif self.path == "/queue":
            for prompt_id in json.loads(body)["delete"]:
                self._cancel(prompt_id)
        elif self.path == "/interrupt":
            self._answer({})
        else:
            self._answer({}, 404)

    def _cancel(self, prompt_id: str) -> None:
        comfy = self.comfy
        comfy.cancelled.append(prompt_id)
        comfy.queue = [each for each in comfy.queue if each[0] != prompt_id]
        self._answer({"cancelled": True})

    def _is_turned_away(self) -> bool:
        comfy = self.comfy
        if comfy.key and self.headers.get("Authorization") != f"Bearer {comfy.key}":
            self._answer({}, 401)
            return True
        if comfy.busy_answers:
            comfy.busy_answers -= 1
            self._answer({}, 503)
            return True
        return False

    def _answer(self, body: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def fake_comfyui() -> Iterator[FakeComfyUI]:
    comfy = FakeComfyUI()
    handler = type("Handler", (_Handler,), {"comfy": comfy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    comfy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield comfy
    finally:
        server.shutdown()
        server.server_close()
