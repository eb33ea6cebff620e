"""Image-to-video pipelines of the real classes, tiny and random, saved as the real ones are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from listing_media_dagster.models.entry import CatalogueEntry, Film, Part, Sampling


def tiny_video_entry(folder: Path, family: str, *, frames: int, multiple_of: int) -> CatalogueEntry:
    """Return the entry of a tiny pipeline of `family` in `folder`, marked as made for tests."""
    pipelines = {"svd": "StableVideoDiffusionPipeline", "ltx2": "LTX2ImageToVideoPipeline"}
    loads = f"diffusers.{pipelines.get(family, 'WanImageToVideoPipeline')}"
    return CatalogueEntry(
        id="tiny-video",
        title="Tiny video",
        purpose="tests",
        stages=("animation",),
        family=family,
        licence="none",
        commercial_use="no",
        parts=(Part(role="base", loads=loads, folder=folder, files=("*.json", "*/*.safetensors"), size_mb=1),),
        dtypes=("float32",),
        cpu_seconds=1,
        sampling=Sampling(steps=3 if family == "wan-dmd" else 2, guidance=2, megapixels=0.01, multiple_of=multiple_of),
        film=Film(width=64, height=32, frames=frames, fps=7),
        test_only=True,
    )


def save_tiny_svd(folder: Path) -> Path:
    import torch
    from diffusers import (
        AutoencoderKLTemporalDecoder,
        EulerDiscreteScheduler,
        StableVideoDiffusionPipeline,
        UNetSpatioTemporalConditionModel,
    )
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        pipeline = StableVideoDiffusionPipeline(
            vae=AutoencoderKLTemporalDecoder(
                block_out_channels=[32, 64], down_block_types=["DownEncoderBlock2D"] * 2, latent_channels=4
            ),
            image_encoder=CLIPVisionModelWithProjection(
                CLIPVisionConfig(
                    hidden_size=32, projection_dim=32, num_hidden_layers=2, num_attention_heads=4, image_size=224,
                    intermediate_size=37, patch_size=56,
                )
            ).eval(),
            unet=UNetSpatioTemporalConditionModel(
                block_out_channels=(32, 64), layers_per_block=1, sample_size=32, in_channels=8, out_channels=4,
                down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
                up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), cross_attention_dim=32,
                num_attention_heads=8, projection_class_embeddings_input_dim=96, addition_time_embed_dim=32,
            ),
            scheduler=EulerDiscreteScheduler(
                beta_schedule="scaled_linear", prediction_type="v_prediction", sigma_max=700.0, sigma_min=0.002,
                steps_offset=1, timestep_spacing="leading", timestep_type="continuous", use_karras_sigmas=True,
            ),
            feature_extractor=CLIPImageProcessor(crop_size=224, size=224),
        )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_wan(folder: Path) -> Path:
    """Save Wan 2.2 TI2V as its repository has it: as a text-to-video pipeline, whose parts also do image-to-video."""
    import torch
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
    from transformers import UMT5Config, UMT5EncoderModel

    tokenizer = _t5_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        pipeline = WanPipeline(
            tokenizer=tokenizer,
            text_encoder=UMT5EncoderModel(
                UMT5Config(
                    vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, pad_token_id=0,
                    eos_token_id=1, decoder_start_token_id=0,
                )
            ).eval(),
            vae=AutoencoderKLWan(
                base_dim=3, z_dim=48, in_channels=12, out_channels=12, is_residual=True, patch_size=2,
                latents_mean=[0.0] * 48, latents_std=[1.0] * 48, dim_mult=[1] * 4, num_res_blocks=1,
                scale_factor_spatial=16, scale_factor_temporal=4, temperal_downsample=[False, True, True],
            ),
            transformer=WanTransformer3DModel(
                patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=48, out_channels=48,
                text_dim=32, freq_dim=256, ffn_dim=32, num_layers=2, cross_attn_norm=True,
                qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
            ),
            transformer_2=None,
            expand_timesteps=True,
            scheduler=UniPCMultistepScheduler(
                prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
            ),
        )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_ltx2(folder: Path) -> Path:
    """Save LTX-2.0 with all that belongs to it: a language model's eyes and ears for the text, and its sound."""
    import torch
    from diffusers import (
        AutoencoderKLLTX2Audio,
        AutoencoderKLLTX2Video,
        FlowMatchEulerDiscreteScheduler,
        LTX2ImageToVideoPipeline,
        LTX2VideoTransformer3DModel,
    )
    from diffusers.pipelines.ltx2 import LTX2TextConnectors, LTX2Vocoder
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    tokenizer = _gemma_tokenizer()
    words = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
             "num_key_value_heads": 1, "head_dim": 8, "vocab_size": len(tokenizer)}  # fmt: skip
    eyes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 28, "patch_size": 14}  # fmt: skip
    connector = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 1, "num_learnable_registers": None}
    connectors = {f"{of}_connector_{name}": value for of in ("video", "audio") for name, value in connector.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        audio_vae = AutoencoderKLLTX2Audio(
            base_channels=4, ch_mult=(1,), num_res_blocks=1, resolution=32, latent_channels=2, mel_bins=8
        )
        pipeline = LTX2ImageToVideoPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(),
            vae=AutoencoderKLLTX2Video(
                latent_channels=4, block_out_channels=(8, 16, 32, 64), decoder_block_out_channels=(8, 16, 32),
                layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * 4, spatial_compression_ratio=32,
                temporal_compression_ratio=8, decoder_spatial_padding_mode="zeros",  # one latent has nothing to reflect
            ),
            audio_vae=audio_vae,
            text_encoder=Gemma3ForConditionalGeneration(
                Gemma3Config(text_config=words, vision_config=eyes, mm_tokens_per_image=4)
            ),
            tokenizer=tokenizer,
            connectors=LTX2TextConnectors(
                caption_channels=16, text_proj_in_factor=3, connector_rope_base_seq_len=32, **connectors
            ),
            transformer=LTX2VideoTransformer3DModel(
                in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=8, cross_attention_dim=16,
                audio_in_channels=4, audio_out_channels=4, audio_num_attention_heads=2, audio_attention_head_dim=4,
                audio_cross_attention_dim=8, num_layers=2, caption_channels=16,
            ),
            vocoder=LTX2Vocoder(
                in_channels=16, hidden_channels=16, upsample_kernel_sizes=[4, 4], upsample_factors=[2, 2],
                resnet_kernel_sizes=[3], resnet_dilations=[[1, 3, 5]],
            ),
        )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def _gemma_tokenizer() -> Any:
    from transformers import GemmaTokenizer

    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581", *map(chr, range(33, 127))]
    return GemmaTokenizer(vocab={word: place for place, word in enumerate(words)}, merges=[], model_max_length=1024)


def _t5_tokenizer() -> Any:
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    return T5Tokenizer(
        vocab=[*pieces, *((chr(code), -3.0) for code in range(33, 127))], extra_ids=0, model_max_length=512
    )
