"""The doctor's questions about GPUs and models: what computes here, what would run on it, what was pulled."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass

from listing_media_dagster.finding import Finding
from listing_media_dagster.models.hardware import GIB, Hardware, best, memory_bytes
from listing_media_dagster.settings import Settings

PROBE_SECONDS = 60
_CHOSEN_STAGES = ("staging", "enhancement", "upscale", "animation", "depth", "segmentation")

_PROBE = """
import dataclasses, json
import torch
from listing_media_dagster.models.hardware import probe_devices
devices = [dataclasses.asdict(device) for device in probe_devices(torch)]
print(json.dumps({"torch": torch.__version__, "devices": devices}))
"""


@dataclass(frozen=True)
class Probed:
    """What is said of the GPUs, and what models would run on."""

    finding: Finding
    hardware: Hardware


def probe_gpus(*, code: str = _PROBE, seconds: float = PROBE_SECONDS) -> Probed:
    """Run small matrix products on every GPU, in a process of its own: a bad driver may hang or crash."""
    cpu = Hardware(device="cpu", name="CPU", memory_gb=memory_bytes() / GIB)
    if importlib.util.find_spec("torch") is None:
        fix = "none needed: everything the default does runs on the CPU"
        return Probed(Finding("GPU", "warn", "torch isn't installed", fix), cpu)
    try:
        done = subprocess.run(  # noqa: S603  (our own interpreter and our own words)
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        hangs = f"a small computation didn't end within {seconds:g} s"
        return Probed(Finding("GPU", "missing", hangs, "look at nvidia-smi"), cpu)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:200]
        fix = "look at nvidia-smi and at the driver; the CPU is used until then"
        return Probed(Finding("GPU", "missing", last, fix), cpu)
    said = json.loads(done.stdout.strip().splitlines()[-1])
    devices = tuple(
        Hardware(**{**device, "compute_capability": tuple(device["compute_capability"] or ()) or None})
        for device in said["devices"]
    )
    return Probed(_gpu_finding(devices, said["torch"]), best(devices))


def _gpu_finding(devices: tuple[Hardware, ...], torch_version: str) -> Finding:
    gpus = [device for device in devices if device.device == "cuda"]
    sound = [gpu for gpu in gpus if gpu.fault is None]
    faults = "; ".join(f"{gpu.name}: {gpu.fault}" for gpu in gpus if gpu.fault)
    if not gpus:
        return Finding("GPU", "ok", f"none; torch {torch_version} uses the CPU, which is enough for the default")
    if not sound:
        fix = "use a torch built for the card, another card, or the CPU, which is enough for the default"
        return Finding("GPU", "missing", faults, fix)
    detail = f"{'; '.join(gpu.describe() for gpu in sound)}; torch {torch_version}"
    if faults:
        return Finding("GPU", "warn", f"{detail}. {faults}", "CUDA_VISIBLE_DEVICES can hide it")
    return Finding("GPU", "ok", detail)


def clip_finding(settings: Settings) -> Finding:
    from listing_media_dagster.models.clip import CLIP_MODEL_ID, find_clip_weights
    from listing_media_dagster.models.weights import BadWeights, ModelMissing

    absent = [name for name in ("torch", "open_clip") if importlib.util.find_spec(name) is None]
    if absent:
        fix = "pip install 'listing-media-dagster[models]'; until then photos are delivered \"not scored\""
        return Finding("CLIP scoring", "warn", f"{' and '.join(absent)} not installed", fix)
    try:
        found = find_clip_weights(settings.clip_weights, settings.models_dir)
    except ModelMissing as missing:
        return Finding("CLIP scoring", "warn", 'no weights: photos are delivered "not scored"', missing.how_to_get_it)
    except BadWeights as wrong:
        return Finding("CLIP scoring", "missing", str(wrong), f"listing-media models pull {CLIP_MODEL_ID}")
    return Finding("CLIP scoring", "ok", f"{found.origin}, {found.path}, sha256 {found.weights_sha256[:12]}…")


def models_finding(settings: Settings, hardware: Hardware) -> Finding:
    """Say which model each stage would run on `hardware`, and which were pulled; none of them is needed."""
    from listing_media_dagster.models.catalogue import BadCatalogue, catalogue
    from listing_media_dagster.models.entry import Stage
    from listing_media_dagster.models.shortlist import BadWishes
    from listing_media_dagster.models.weights import BadWeights, models_here
    from listing_media_dagster.wished_models import wished_choice

    try:
        entries = catalogue(settings.model_catalogue).models
        here = models_here(entries, settings.models_dir)
        chosen = {stage: wished_choice(Stage(stage), hardware, entries, settings).entry for stage in _CHOSEN_STAGES}
    except (BadCatalogue, BadWeights) as wrong:
        return Finding("models", "missing", str(wrong), "correct the file, or take it away")
    except BadWishes as wrong:
        return Finding("models", "missing", str(wrong), "correct LISTING_MEDIA_MODELS")
    fitting = []
    for stage, entry in chosen.items():
        if entry:
            fitting.append(f"{stage} {entry.id}{'' if entry.id in here else ' (not pulled)'}")
    detail = f"fit here: {', '.join(fitting) or 'none'}"
    return Finding("models", "ok", detail, "optional; `listing-media models list` says more")
