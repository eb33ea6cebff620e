"""Small real diffusion pipelines with random weights, saved the way the real ones lie on a disk.

Every class, file and loading path is that of the full-size models; only the widths differ. Their cards mark them as
made for tests, so that nothing outside a test takes them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from listing_media_dagster.models.catalogue import CatalogueEntry, Part, catalogue_entry
from listing_media_dagster.models.model import EditRequest
from listing_media_dagster.models.weights_folder import WeightsFolder, inspect_folder, matching

_CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_DOWN = ("DownBlock2D", "CrossAttnDownBlock2D")
_UP = ("CrossAttnUpBlock2D", "UpBlock2D")
_UNET: dict[str, Any] = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "sample_size": 32,
    "out_channels": 4,
    "down_block_types": _DOWN,
    "up_block_types": _UP,
}
_SDXL: dict[str, Any] = {
    "attention_head_dim": (2, 4),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "transformer_layers_per_block": (1, 2),
    "projection_class_embeddings_input_dim": 80,
    "cross_attention_dim": 64,
}
_CONTROLNET: dict[str, Any] = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "in_channels": 4,
    "down_block_types": _DOWN,
    "conditioning_embedding_out_channels": (16, 32),
}


@cache
def _bytes() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _clip_tokenizer() -> Any:
    from transformers import CLIPTokenizer

    tokens = [*_bytes(), *(byte + "</w>" for byte in _bytes()), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=77)


def _qwen_tokenizer(*more: str) -> Any:
    from transformers import Qwen2Tokenizer

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *more]
    vocabulary = {token: i for i, token in enumerate([*_bytes(), *special])}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[], extra_special_tokens=special[1:])
    tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer


def _clip_text(tokenizer: Any, *, projection: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        projection_dim=32,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def _vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=[32, 64],
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=4,
        force_upcast=False,
    )


def sd15() -> Any:
    """Return a Stable Diffusion 1.5 pipeline."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    tokenizer = _clip_tokenizer()
    return StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=_clip_text(tokenizer),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(in_channels=4, cross_attention_dim=32, **_UNET),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sd15_inpaint() -> Any:
    """Return a Stable Diffusion 1.5 inpainting pipeline: its UNet sees mask and masked picture (9 channels)."""
    from diffusers import StableDiffusionInpaintPipeline, UNet2DConditionModel

    plain = sd15()
    components = {**plain.components, "unet": UNet2DConditionModel(in_channels=9, cross_attention_dim=32, **_UNET)}
    return StableDiffusionInpaintPipeline(**components, requires_safety_checker=False)


def sd15_controlnet() -> Any:
    from diffusers import ControlNetModel

    return _felt(ControlNetModel(cross_attention_dim=32, **_CONTROLNET))


def _felt(controlnet: Any) -> Any:
    """Give an untrained ControlNet a say: its outlets begin at zero."""
    import torch

    with torch.no_grad():
        for values in controlnet.parameters():
            if not values.any():
                values.normal_(std=0.3)
    return controlnet


def sdxl() -> Any:
    """Return an SDXL pipeline."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel

    tokenizer = _clip_tokenizer()
    return StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=_clip_text(tokenizer),
        text_encoder_2=_clip_text(tokenizer, projection=True),
        tokenizer=tokenizer,
        tokenizer_2=_clip_tokenizer(),
        unet=UNet2DConditionModel(in_channels=4, **_UNET, **_SDXL),
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading"),
    )


def union_controlnet() -> Any:
    from diffusers import ControlNetUnionModel

    union = ControlNetUnionModel(
        num_control_type=8, num_trans_channel=32, num_trans_head=4, num_proj_channel=32, **_CONTROLNET, **_SDXL
    )
    return _felt(union)


def klein() -> Any:
    """Return a FLUX.2-klein pipeline."""
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = _qwen_tokenizer()
    # The pipeline takes hidden states 9, 18 and 27 of its text encoder.
    text_config = Qwen3Config(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=28,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=4,
        vocab_size=len(tokenizer),
        max_position_embeddings=512,
    )
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        tokenizer=tokenizer,
        is_distilled=True,
        vae=AutoencoderKLFlux2(
            sample_size=32,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(4, 4),
            layers_per_block=1,
            latent_channels=1,
            norm_num_groups=1,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=Qwen3ForCausalLM(text_config).eval(),
        transformer=Flux2Transformer2DModel(
            patch_size=1,
            in_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=24,
            timestep_guidance_channels=256,
            axes_dims_rope=[4] * 4,
            guidance_embeds=False,
        ),
    )


def qwen_edit() -> Any:
    """Return a Qwen-Image-Edit-Plus pipeline."""
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImageEditPlusPipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    vision = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokenizer = _qwen_tokenizer(*vision)
    start, end, image, video = (tokenizer.convert_tokens_to_ids(token) for token in vision)
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1000000.0},
            "vocab_size": len(tokenizer),
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
        },
        vision_start_token_id=start,
        vision_end_token_id=end,
        image_token_id=image,
        video_token_id=video,
    )
    z_dim = 4
    return QwenImageEditPlusPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.02),
        vae=AutoencoderKLQwenImage(
            base_dim=z_dim * 6,
            z_dim=z_dim,
            dim_mult=[1, 2, 4],
            num_res_blocks=1,
            temperal_downsample=[False, True],
            latents_mean=[0.0] * z_dim,
            latents_std=[1.0] * z_dim,
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=tokenizer,
        processor=Qwen2VLProcessor(
            image_processor=Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=56 * 56),
            tokenizer=tokenizer,
            video_processor=Qwen2VLVideoProcessor(),
            chat_template=_CHAT_TEMPLATE,
        ),
        transformer=QwenImageTransformer2DModel(
            patch_size=2,
            in_channels=16,
            out_channels=4,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            guidance_embeds=False,
            axes_dims_rope=(8, 4, 4),
        ),
    )


def tiny_entry(model_id: str) -> CatalogueEntry:
    """Return the catalogue's entry as it is, but for two steps, a number format that a CPU has, and its mark."""
    entry = catalogue_entry(model_id)
    assert entry.sampling is not None
    sampling = entry.sampling.model_copy(update={"steps": 2})
    return entry.model_copy(update={"sampling": sampling, "dtypes": ("float32",), "test_only": True})


def save_tiny_weights(entry: CatalogueEntry, folder: Path, seed: int = 0) -> Path:
    """Save small random weights for `entry` into `folder`: exactly the files that its parts name, nothing else."""
    import torch

    with torch.random.fork_rng(devices=[]), quiet_libraries():
        torch.manual_seed(seed)
        pipeline = _PIPELINES[entry.family]()
        for part in entry.parts:
            root = folder if len(entry.all_parts) == 1 else folder / part.role
            _part_of(pipeline, entry, part).save_pretrained(
                root / part.subfolder if part.subfolder else root, variant=part.variant
            )
            _name_what_real_ones_name(root)
            _keep_only(root, part.patterns)
        for lora in entry.loras:
            _save_tiny_lora(pipeline, folder / lora.role, lora.files[0])
    (folder / "listing_media.json").write_text(json.dumps({"pretrained": "tiny", "test_only": True}))
    return folder


def tiny_weights(model_id: str, folder: Path) -> tuple[CatalogueEntry, WeightsFolder]:
    """Save, inspect and return small random weights for the catalogue's entry `model_id`."""
    entry = tiny_entry(model_id)
    return entry, inspect_folder(entry, save_tiny_weights(entry, folder), allow_test_weights=True)


_PIPELINES: dict[str, Callable[[], Any]] = {
    "sdxl-union-inpaint": sdxl,
    "sdxl-union-img2img": sdxl,
    "sd15-controlnet-inpaint": sd15_inpaint,
    "sd15-controlnet-img2img": sd15,
    "flux2-klein": klein,
    "qwen-image-edit": qwen_edit,
}


def _part_of(pipeline: Any, entry: CatalogueEntry, part: Part) -> Any:
    if part.role == entry.parts[0].role:
        return pipeline
    if part.role == "vae":
        return _vae()
    return union_controlnet() if part.loads.endswith("ControlNetUnionModel") else sd15_controlnet()


def _name_what_real_ones_name(root: Path) -> None:
    """Add what the real repositories have and the tiny pipelines can do without."""
    for tokenizer in (folder for folder in root.glob("tokenizer*") if folder.is_dir()):
        (tokenizer / "merges.txt").touch()
    index = root / "model_index.json"
    if index.is_file() and "safety_checker" in (said := json.loads(index.read_text())):
        said["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
        said["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
        index.write_text(json.dumps(said))


def _keep_only(root: Path, patterns: Sequence[str]) -> None:
    names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    wanted = {name for pattern in patterns for name in matching(pattern, names)}
    for name in set(names) - wanted:
        (root / name).unlink()


def _save_tiny_lora(pipeline: Any, folder: Path, name: str) -> None:
    """Save a LoRA for the attention of the pipeline's denoiser, strong enough to be seen."""
    from peft import LoraConfig, get_peft_model_state_dict

    which = "unet" if hasattr(pipeline, "unet") else "transformer"
    denoiser = getattr(pipeline, which)
    denoiser.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    pipeline.save_lora_weights(
        folder, weight_name=name, **{f"{which}_lora_layers": get_peft_model_state_dict(denoiser)}
    )
    denoiser.delete_adapters("default")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the libraries' bars and warnings out of the log of the tests."""
    import diffusers
    import transformers

    bars = [library.utils.logging for library in (diffusers, transformers)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for bar in bars:
            bar.disable_progress_bar()
        try:
            yield
        finally:
            for bar in bars:
                bar.enable_progress_bar()


SaveTiny = Callable[[str], tuple[CatalogueEntry, WeightsFolder]]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SaveTiny:
    """Return what saves small weights for a catalogue entry, once; don't change the files."""
    saved: dict[str, tuple[CatalogueEntry, WeightsFolder]] = {}

    def save(model_id: str) -> tuple[CatalogueEntry, WeightsFolder]:
        if model_id not in saved:
            saved[model_id] = tiny_weights(model_id, tmp_path_factory.mktemp(model_id))
        return saved[model_id]

    return save


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine take ten times as long as one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small_qwen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen-Image-Edit brings every picture to a megapixel; here to 32 px square."""
    import diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus as qwen

    monkeypatch.setattr(qwen, "VAE_IMAGE_SIZE", 32 * 32)
    monkeypatch.setattr(qwen, "CONDITION_IMAGE_SIZE", 32 * 32)


def a_room(number: int, **changes: Any) -> EditRequest:
    """Return a request of 32 px: coloured blocks, a mask in the middle, depth and lines; `number` is its seed, too."""
    blocks = np.random.default_rng(number).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    image = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
    mask = np.zeros((32, 32), np.float32)
    mask[8:28, 8:28] = 1
    room = EditRequest(
        image=image,
        prompt=f"a living room with {number + 1} sofas",
        negative_prompt="people",
        seed=number,
        mask=mask,
        depth=np.linspace(1, 5, 32, dtype=np.float32) * np.ones((32, 1), np.float32),
        lines=np.where(image[..., 0] > 200, 255, 0).astype(np.uint8),
    )
    return replace(room, **changes)
