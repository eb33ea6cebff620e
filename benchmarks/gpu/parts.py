"""What is measured, part by part: plain diffusers first, then our path, then our path compiled while time is left."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu import architectures
from benchmarks.gpu.bench import JOB, OURS, PLAIN, Bench
from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.diffusion import DiffusionEditor, Speedups, speedups_for
from listing_media_dagster.models.diffusion import editor as editor_module
from listing_media_dagster.models.diffusion.speedups import preferred_attention, speed_up
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.hardware import with_free_vram
from listing_media_dagster.models.model import EditRequest, Rgb

PROMPT = "a photo of a modern living room with a sofa and a rug"


def sdxl(bench: Bench) -> None:
    """Staging with SDXL and ControlNet-Union in 8 and 20 steps, and MLPerf's text-to-image with the same networks."""
    with bench.building("float16"):
        pipeline = architectures.sdxl_union(bench.tiny)
    _ready(bench, pipeline)
    entry = catalogue_entry("sdxl-union")
    ways = {
        "8": _sampled(entry, steps=2) if bench.tiny else entry,
        "20": _sampled(entry, steps=3 if bench.tiny else 20, guidance=8.0),
    }
    requests = [_request(bench, seed) for seed in range(JOB)]
    for steps, each in ways.items():
        _time_plain_sdxl(bench, f"steps{steps}", pipeline, each, requests)
    _time_text(bench, "text20 plain", pipeline, Speedups(), 1)
    fast = speedups_for(bench.hardware)
    for steps, each in ways.items():
        _time_editor(bench, f"steps{steps} ours", pipeline, each, requests, fast, batch=8)
    _time_text(bench, "text20 ours", pipeline, fast, 8)
    if not bench.tiny and bench.left > 70:
        compiled = replace(fast, compile="blocks")
        _time_editor(bench, "steps20 ours, blocks compiled", pipeline, ways["20"], requests, compiled, batch=8)
        _time_text(bench, "text20 ours, blocks compiled", pipeline, fast, 8)  # they stay compiled
        _time_editor(bench, "steps8 ours, blocks compiled", pipeline, ways["8"], requests, fast, batch=8)


def graphs(bench: Bench) -> None:
    """What CUDA graphs are worth: SDXL in 8 steps, one picture at a time, its denoiser compiled whole (minutes)."""
    with bench.building("float16"):
        pipeline = architectures.sdxl_union(bench.tiny)
    _ready(bench, pipeline)
    entry = catalogue_entry("sdxl-union")
    way = _sampled(entry, steps=2) if bench.tiny else entry
    requests = [_request(bench, seed) for seed in range(JOB)]
    _time_plain_sdxl(bench, "steps8", pipeline, way, requests)
    fast = speedups_for(bench.hardware)
    _time_editor(bench, "steps8 ours", pipeline, way, requests, fast, batch=1)
    if not bench.tiny:
        replayed = replace(fast, compile="whole", cuda_graphs=True)
        _time_editor(bench, "steps8 ours, CUDA graphs", pipeline, way, requests, replayed, batch=1)


def klein(bench: Bench) -> None:
    """Staging with FLUX.2 klein 4B in 4 steps."""
    with bench.building("bfloat16"):
        pipeline = architectures.flux2_klein_4b(bench.tiny)
    _ready(bench, pipeline)
    entry = catalogue_entry("flux2-klein-4b")
    requests = [_request(bench, seed) for seed in range(JOB)]
    sampling = entry.sampling
    assert sampling is not None

    def plain(request: EditRequest) -> Any:
        return pipeline(
            prompt=request.prompt, image=_pil(request.image), mask_image=_pil_mask(request), height=bench.side,
            width=bench.side, num_inference_steps=sampling.steps, guidance_scale=sampling.guidance,
            strength=request.strength, generator=_generator(bench, request.seed),
        ).images  # fmt: skip

    bench.measure(
        "steps4 plain", lambda: plain(requests[0]), lambda n: [plain(each) for each in requests[:n]], share=PLAIN
    )
    fast = speedups_for(bench.hardware)
    _time_editor(bench, "steps4 ours", pipeline, entry, requests, fast, batch=8)
    if not bench.tiny and bench.left > 40:
        _time_editor(
            bench, "steps4 ours, blocks compiled", pipeline, entry, requests, replace(fast, compile="blocks"), batch=8
        )


def seeing(bench: Bench) -> None:
    """Depth Anything and CLIP over a listing's photos, in batches against one by one."""
    from listing_media_dagster.models.depth import DepthAnything
    from listing_media_dagster.models.weights_folder import inspect_folder

    size = (160, 120) if bench.tiny else (4032, 3024)
    photos = [_photo(seed, size) for seed in range(2 if bench.tiny else JOB)]
    with tempfile.TemporaryDirectory(prefix="depth-") as name:
        network, processor = architectures.depth_anything_small(bench.tiny)
        network.save_pretrained(name)
        processor.save_pretrained(name)
        entry = catalogue_entry("depth-anything-v2-small")
        model = DepthAnything(entry, inspect_folder(entry, Path(name), allow_test_weights=True), bench.hardware)
        plain = network.to(bench.device).eval()
        bench.measure(
            "depth plain", lambda: _plain_depth(plain, processor, photos[0]),
            lambda n: [_plain_depth(plain, processor, photo) for photo in photos[:n]],
        )  # fmt: skip
        bench.measure("depth ours", lambda: model.nearness(photos[:1]), lambda n: model.nearness(photos[:n]))
    if not bench.tiny:
        _time_clip(bench, photos)


def svd(bench: Bench) -> None:
    """One Stable Video Diffusion clip of 25 frames."""
    with bench.building("float16"):
        pipeline = architectures.svd_xt(bench.tiny)
    _ready(bench, pipeline)
    width, height, frames, steps = (64, 32, 3, 2) if bench.tiny else (1024, 576, 25, 25)
    image = _pil(_photo(1, (width, height)))

    def film() -> Any:
        return pipeline(
            image, height=height, width=width, num_frames=frames, num_inference_steps=steps, decode_chunk_size=8,
            generator=_generator(bench, 1), output_type="np",
        )  # fmt: skip

    _time_films(bench, pipeline, film)


def wan(bench: Bench) -> None:
    """One Wan 2.2 5B clip of 49 frames at 480p in 20 guided steps."""
    with bench.building("bfloat16"):
        pipeline = architectures.wan_5b(bench.tiny)
    _ready(bench, pipeline)
    width, height, frames, steps = (64, 32, 5, 2) if bench.tiny else (832, 480, 49, 20)
    image = _pil(_photo(1, (width, height)))

    def film() -> Any:
        return pipeline(
            image=image, prompt=PROMPT, negative_prompt="", height=height, width=width, num_frames=frames,
            num_inference_steps=steps, guidance_scale=5.0, generator=_generator(bench, 1), output_type="np",
        )  # fmt: skip

    _time_films(bench, pipeline, film)


PARTS: dict[str, Callable[[Bench], None]] = {
    "sdxl": sdxl,
    "klein": klein,
    "seeing": seeing,
    "svd": svd,
    "wan": wan,
    "graphs": graphs,
}


def _ready(bench: Bench, pipeline: Any) -> None:
    """Set a fresh pipeline to drawing and say what it is made of."""
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if hasattr(part, "eval"):
            part.eval().requires_grad_(False)
    bench.say(built={"parameters_1e9": architectures.parameters(pipeline)})


def _pixels_of(output: Any, _title: str) -> list[Rgb]:
    """As the editor turns its output into pictures, without the refusal."""
    import torch

    pixels = torch.nan_to_num(output.detach().float()).mul(255).round().clamp(0, 255).to(torch.uint8)
    return list(pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy())


def _sampled(entry: CatalogueEntry, **changes: Any) -> CatalogueEntry:
    assert entry.sampling is not None
    return entry.model_copy(update={"sampling": entry.sampling.model_copy(update=changes)})


def _request(bench: Bench, seed: int) -> EditRequest:
    side = bench.side
    mask = np.zeros((side, side), np.float32)
    mask[side // 2 :, side // 4 : -side // 4] = 1
    depth = np.tile(np.linspace(5, 1, side, dtype=np.float32)[:, None], (1, side))
    lines = np.zeros((side, side), np.uint8)
    lines[side // 2] = 255
    return EditRequest(_photo(seed, (side, side)), PROMPT, seed, "blurry", 1.0, None, mask, depth, lines)


def _time_editor(
    bench: Bench,
    name: str,
    pipeline: Any,
    entry: CatalogueEntry,
    requests: list[EditRequest],
    fast: Speedups,
    batch: int,
) -> None:
    """Time our editor, given the pipeline that is on the device already."""
    batch = 2 if bench.tiny else batch
    hardware = with_free_vram(bench.hardware)
    # What its weights take isn't free any more, which the editor would take for a lack of room.
    held = hardware.vram_gb - hardware.free_vram_gb
    hardware = replace(hardware, free_vram_gb=hardware.free_vram_gb + held)
    pipeline.vae.enable_slicing()  # as its loader does
    editor = DiffusionEditor(entry, "random", hardware, lambda _device: pipeline, fast, batch)
    # Random weights draw no picture, and the editor would say so.
    with patch.object(editor_module, "pictures_of", _pixels_of):
        bench.measure(name, lambda: editor.edit(requests[:batch]), lambda n: editor.edit(requests[:n]), per_call=batch)


def _time_plain_sdxl(
    bench: Bench, name: str, pipeline: Any, entry: CatalogueEntry, requests: list[EditRequest]
) -> None:
    sampling = entry.sampling
    assert sampling is not None
    pipeline.vae.disable_slicing()

    def plain(request: EditRequest) -> Any:
        image = _pil(request.image)
        return pipeline(
            prompt=request.prompt, negative_prompt=request.negative_prompt, image=image, mask_image=_pil_mask(request),
            control_image=[image, image, image], control_mode=[1, 3, 7], height=bench.side, width=bench.side,
            strength=request.strength, num_inference_steps=sampling.steps, guidance_scale=sampling.guidance,
            controlnet_conditioning_scale=sampling.control_scale, generator=_generator(bench, request.seed),
        ).images  # fmt: skip

    bench.measure(
        f"{name} plain", lambda: plain(requests[0]), lambda n: [plain(each) for each in requests[:n]], share=PLAIN
    )


def _time_text(bench: Bench, name: str, pipeline: Any, fast: Speedups, batch: int) -> None:
    """Time MLPerf's task, 20 guided steps from text alone, with the networks of the pipeline."""
    from diffusers import StableDiffusionXLPipeline

    batch = min(batch, 2) if bench.tiny else batch
    kept = {key: part for key, part in pipeline.components.items() if key not in ("controlnet", "feature_extractor")}
    text: Any = StableDiffusionXLPipeline(**{**kept, "image_encoder": None})
    text.set_progress_bar_config(disable=True)
    speed_up(text, fast)

    def draw(count: int) -> Any:
        with preferred_attention(fast):
            return text(
                [PROMPT] * count, height=bench.side, width=bench.side, num_inference_steps=2 if bench.tiny else 20,
                guidance_scale=8.0, generator=_generator(bench, 1), output_type="pt",
            ).images.cpu()  # fmt: skip

    def job(count: int) -> None:
        for _ in range(-(-count // batch)):
            draw(batch)

    share = PLAIN if batch == 1 else OURS
    bench.measure(name, lambda: draw(batch), lambda n: job(n - n % batch or batch), per_call=batch, share=share)


def _time_films(bench: Bench, pipeline: Any, film: Callable[[], Any]) -> None:
    """Time one film as diffusers makes it and one our way; a film is asked for once a photo, so never in batches."""
    bench.measure("film plain", film, lambda n: [film() for _ in range(n)])
    fast = speedups_for(bench.hardware)
    speed_up(pipeline, fast)

    def ours() -> Any:
        with preferred_attention(fast):
            return film()

    bench.measure("film ours", ours, lambda n: [ours() for _ in range(n)])


def _plain_depth(network: Any, processor: Any, photo: Rgb) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        inputs = processor(_pil(photo), return_tensors="pt")["pixel_values"].to(network.device)
        depth = network(inputs).predicted_depth[:, None]
        whole = torch.nn.functional.interpolate(depth, photo.shape[:2], mode="bicubic", align_corners=False)
    return np.asarray(whole[0, 0].float().cpu().numpy(), np.float32)


def _time_clip(bench: Bench, photos: list[Rgb]) -> None:
    """Time ViT-B/32 our way against open_clip asked for one photo after the other, both on the device."""
    import torch

    from benchmarks.clip import save_full_size_clip
    from listing_media_dagster.models.clip import ClipScorer

    with tempfile.TemporaryDirectory(prefix="clip-") as name:
        folder = save_full_size_clip(Path(name))
        scorer = ClipScorer.load(folder, bench.device, allow_test_weights=True)
        import open_clip

        source = f"local-dir:{folder}"
        model, prepare = open_clip.create_model_from_pretrained(source, device=bench.device)
        tokenizer = open_clip.get_tokenizer(source)

        def plain(photo: Rgb) -> float:
            with torch.inference_mode():
                seen = model.encode_image(prepare(_pil(photo)).unsqueeze(0).to(bench.device), normalize=True)
                said = model.encode_text(tokenizer([PROMPT]).to(bench.device), normalize=True)
                return float((seen @ said.T)[0, 0])

        bench.measure("clip plain", lambda: plain(photos[0]), lambda n: [plain(photo) for photo in photos[:n]])
        bench.measure(
            "clip ours", lambda: scorer.score(photos[:1], [PROMPT], [()]),
            lambda n: scorer.score(photos[:n], [PROMPT] * n, [()] * n),
        )  # fmt: skip


def _generator(bench: Bench, seed: int) -> Any:
    import torch

    return torch.Generator("cpu").manual_seed(seed)


def _photo(seed: int, size: tuple[int, int]) -> Rgb:
    import cv2

    grid = np.random.default_rng(seed).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _pil(rgb: Rgb) -> Any:
    from PIL import Image

    return Image.fromarray(rgb)


def _pil_mask(request: EditRequest) -> Any:
    assert request.mask is not None
    return _pil((request.mask * 255).astype(np.uint8))
