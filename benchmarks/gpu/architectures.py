"""The models of the benchmark at their full size with random weights, built on the device from the numbers in here.

No figure of speed depends on the weights' values, and nothing has to be downloaded. The numbers are those of the
published configurations; `parameters` in the results shows that they add up to the published sizes. `tiny=True` builds
the same classes with other widths, so that a CPU can run the whole benchmark in a test.
"""

from __future__ import annotations

from functools import cache
from typing import Any

_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SDXL: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "layers_per_block": 2,
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_SDXL_TINY: dict[str, Any] = {
    "block_out_channels": (32, 64),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "layers_per_block": 1,
    "transformer_layers_per_block": (1, 2),
    "attention_head_dim": (2, 4),
    "cross_attention_dim": 64,
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 80,
}
_SDXL_COMMON: dict[str, Any] = {
    "in_channels": 4,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
}
_CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12}
_CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20, "num_hidden_layers": 32}
_CLIP_TINY = {"hidden_size": 32, "intermediate_size": 37, "num_attention_heads": 4, "num_hidden_layers": 2}


def sdxl_union(tiny: bool = False) -> Any:
    """Return SDXL with ControlNet-Union ProMax as an inpainting pipeline, built on torch's default device and dtype."""
    from diffusers import (
        AutoencoderKL,
        ControlNetUnionModel,
        EulerDiscreteScheduler,
        StableDiffusionXLControlNetUnionInpaintPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    sizes = {**(_SDXL_TINY if tiny else _SDXL), **_SDXL_COMMON}
    first, last = sizes["block_out_channels"][0], ("UpBlock2D",)
    up = tuple("CrossAttnUpBlock2D" for _ in sizes["block_out_channels"][1:]) + last
    channels = (32, 64) if tiny else (128, 256, 512, 512)
    tokenizer = _clip_tokenizer()
    return StableDiffusionXLControlNetUnionInpaintPipeline(
        vae=AutoencoderKL(
            block_out_channels=channels,
            down_block_types=["DownEncoderBlock2D"] * len(channels),
            up_block_types=["UpDecoderBlock2D"] * len(channels),
            layers_per_block=1 if tiny else 2,
            latent_channels=4,
            sample_size=32 if tiny else 1024,
            scaling_factor=0.13025,
            force_upcast=False,  # as the VAE that was mended for fp16
        ),
        text_encoder=CLIPTextModel(_clip_text(tokenizer, _CLIP_TINY if tiny else _CLIP_L, 32 if tiny else 768)),
        text_encoder_2=CLIPTextModelWithProjection(
            _clip_text(tokenizer, _CLIP_TINY if tiny else _CLIP_G, 32 if tiny else 1280)
        ),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=UNet2DConditionModel(**sizes, out_channels=4, sample_size=32 if tiny else 128, up_block_types=up),
        controlnet=ControlNetUnionModel(
            **sizes,
            num_control_type=8,
            num_trans_channel=first,
            num_trans_head=first // 40 if not tiny else 4,
            num_proj_channel=first,
            conditioning_embedding_out_channels=(16, 32) if tiny else (16, 32, 96, 256),
        ),
        scheduler=_on_cpu(EulerDiscreteScheduler)(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing="trailing",
        ),
    )


def flux2_klein_4b(tiny: bool = False) -> Any:
    """Return FLUX.2 klein 4B as an inpainting pipeline."""
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinInpaintPipeline,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = _qwen_tokenizer()
    if tiny:
        vae = AutoencoderKLFlux2(
            sample_size=32, down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",),
            block_out_channels=(4,), layers_per_block=1, latent_channels=1, norm_num_groups=1,
        )  # fmt: skip
        text: dict[str, Any] = {
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 28, "num_attention_heads": 2,
            "num_key_value_heads": 2, "vocab_size": len(tokenizer),
        }  # fmt: skip
        denoiser = {"in_channels": 4, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16,
                    "num_attention_heads": 2, "joint_attention_dim": 48, "axes_dims_rope": (4,) * 4}  # fmt: skip
    else:
        vae = AutoencoderKLFlux2()
        text = {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
                "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936,
                "tie_word_embeddings": True}  # fmt: skip
        denoiser = {"in_channels": 128, "num_layers": 5, "num_single_layers": 20, "attention_head_dim": 128,
                    "num_attention_heads": 24, "joint_attention_dim": 7680}  # fmt: skip
    return Flux2KleinInpaintPipeline(
        scheduler=_on_cpu(FlowMatchEulerDiscreteScheduler)(),
        vae=vae,
        text_encoder=Qwen3ForCausalLM(Qwen3Config(**text)),
        tokenizer=tokenizer,
        transformer=Flux2Transformer2DModel(**denoiser, guidance_embeds=False),
        is_distilled=True,
    )


def svd_xt(tiny: bool = False) -> Any:
    """Return Stable Video Diffusion XT."""
    from diffusers import (
        AutoencoderKLTemporalDecoder,
        EulerDiscreteScheduler,
        StableVideoDiffusionPipeline,
        UNetSpatioTemporalConditionModel,
    )
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    if tiny:
        seen: dict[str, Any] = {
            "hidden_size": 32, "projection_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
            "intermediate_size": 37, "patch_size": 56,
        }  # fmt: skip
        denoiser: dict[str, Any] = {
            "block_out_channels": (32, 64), "layers_per_block": 1, "sample_size": 32, "cross_attention_dim": 32,
            "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), "num_attention_heads": 8,
            "projection_class_embeddings_input_dim": 96, "addition_time_embed_dim": 32,
        }  # fmt: skip
    else:
        seen = {"hidden_size": 1280, "projection_dim": 1024, "num_hidden_layers": 32, "num_attention_heads": 16,
                "intermediate_size": 5120, "patch_size": 14, "hidden_act": "gelu"}  # fmt: skip
        denoiser = {"num_attention_heads": (5, 10, 20, 20), "sample_size": 96}
    channels = (32, 64) if tiny else (128, 256, 512, 512)
    return StableVideoDiffusionPipeline(
        vae=AutoencoderKLTemporalDecoder(
            block_out_channels=channels, down_block_types=["DownEncoderBlock2D"] * len(channels), latent_channels=4,
            layers_per_block=1 if tiny else 2, force_upcast=False,
        ),
        image_encoder=CLIPVisionModelWithProjection(CLIPVisionConfig(image_size=224, **seen)),
        unet=UNetSpatioTemporalConditionModel(in_channels=8, out_channels=4, **denoiser),
        scheduler=_on_cpu(EulerDiscreteScheduler)(
            beta_schedule="scaled_linear", prediction_type="v_prediction", sigma_max=700.0, sigma_min=0.002,
            steps_offset=1, timestep_spacing="leading", timestep_type="continuous", use_karras_sigmas=True,
        ),
        feature_extractor=CLIPImageProcessor(crop_size=224, size=224),
    )  # fmt: skip


def wan_5b(tiny: bool = False) -> Any:
    """Return Wan 2.2 TI2V 5B as an image-to-video pipeline."""
    from diffusers import (
        AutoencoderKLWan,
        UniPCMultistepScheduler,
        WanImageToVideoPipeline,
        WanTransformer3DModel,
    )
    from transformers import UMT5Config, UMT5EncoderModel

    tokenizer = _t5_tokenizer()
    vae: dict[str, Any] = {"base_dim": 160, "decoder_base_dim": 256, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2}
    text: dict[str, Any] = {"vocab_size": 256384, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24,
                            "num_heads": 64}  # fmt: skip
    denoiser: dict[str, Any] = {"num_attention_heads": 24, "attention_head_dim": 128, "text_dim": 4096,
                                "ffn_dim": 14336, "num_layers": 30}  # fmt: skip
    if tiny:
        vae = {"base_dim": 3, "dim_mult": [1] * 4, "num_res_blocks": 1}
        text = {"vocab_size": len(tokenizer), "d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 4}
        denoiser = {"num_attention_heads": 2, "attention_head_dim": 12, "text_dim": 32, "ffn_dim": 32, "num_layers": 2}
    return WanImageToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=UMT5EncoderModel(
            UMT5Config(**text, feed_forward_proj="gated-gelu", pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
        ),
        vae=AutoencoderKLWan(
            **vae, z_dim=48, in_channels=12, out_channels=12, is_residual=True, patch_size=2, latents_mean=[0.0] * 48,
            latents_std=[1.0] * 48, scale_factor_spatial=16, scale_factor_temporal=4,
            temperal_downsample=[False, True, True],
        ),
        transformer=WanTransformer3DModel(
            **denoiser, patch_size=(1, 2, 2), in_channels=48, out_channels=48, freq_dim=256, cross_attn_norm=True,
            qk_norm="rms_norm_across_heads",
        ),
        transformer_2=None,
        image_encoder=None,
        image_processor=None,
        boundary_ratio=None,
        expand_timesteps=True,
        scheduler=_on_cpu(UniPCMultistepScheduler)(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
        ),
    )  # fmt: skip


def depth_anything_small(tiny: bool = False) -> tuple[Any, Any]:
    """Return Depth Anything V2 Small and its image processor."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    side = 56 if tiny else 518
    sizes: dict[str, Any] = {"hidden_size": 384, "num_attention_heads": 6, "num_hidden_layers": 12}
    if tiny:
        sizes = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 4}
    stages: dict[str, Any] = {
        "out_features": [f"stage{number}" for number in ((1, 2, 3, 4) if tiny else (3, 6, 9, 12))]
    }
    backbone = Dinov2Config(
        **sizes, image_size=side, patch_size=14, **stages, reshape_hidden_states=False, apply_layernorm=True
    )
    necks = [8] * 4 if tiny else [48, 96, 192, 384]
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=sizes["hidden_size"], neck_hidden_sizes=necks,
        fusion_hidden_size=8 if tiny else 64, head_hidden_size=8 if tiny else 32,
    )  # fmt: skip
    processor = DPTImageProcessor(
        size={"height": side, "width": side}, ensure_multiple_of=14, keep_aspect_ratio=True,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    return DepthAnythingForDepthEstimation(config), processor


def parameters(pipeline: Any) -> dict[str, float]:
    """Return the parameters of each network of a pipeline, in 10^9."""
    import torch

    return {
        name: round(sum(parameter.numel() for parameter in part.parameters()) / 1e9, 3)
        for name, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }


def _on_cpu(scheduler_class: Any) -> Any:
    """Return what makes a scheduler in fp32 on the CPU, wherever networks are being built: it turns to numpy."""

    def make(**options: Any) -> Any:
        import torch

        dtype = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            with torch.device("cpu"):
                return scheduler_class(**options)
        finally:
            torch.set_default_dtype(dtype)

    return make


@cache
def _bytes() -> tuple[str, ...]:
    from tokenizers.pre_tokenizers import ByteLevel

    return tuple(sorted(ByteLevel.alphabet()))


def _clip_tokenizer() -> Any:
    from transformers import CLIPTokenizer

    tokens = [*_bytes(), *(byte + "</w>" for byte in _bytes()), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=77)


def _clip_text(tokenizer: Any, sizes: dict[str, Any], projection: int) -> Any:
    from transformers import CLIPTextConfig

    ends = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    return CLIPTextConfig(vocab_size=49408, projection_dim=projection, **sizes, **ends)


def _qwen_tokenizer() -> Any:
    from transformers import Qwen2Tokenizer

    tokens = [*_bytes(), "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[], extra_special_tokens=tokens[-2:])
    tokenizer.chat_template = _CHAT
    return tokenizer


def _t5_tokenizer() -> Any:
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    letters = [(chr(code), -3.0) for code in range(33, 127)]
    return T5Tokenizer(vocab=[*pieces, *letters], extra_ids=0, model_max_length=512)
