"""Image-to-video pipelines of the real classes, tiny and random, saved as the real ones are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from listing_media_dagster.models.entry import CatalogueEntry, Film, Part, Sampling


def tiny_video_entry(folder: Path, family: str, *, frames: int, multiple_of: int) -> CatalogueEntry:
    """Return the entry of a tiny pipeline of `family` in `folder`, marked as made for tests."""
    loads = "diffusers.StableVideoDiffusionPipeline" if family == "svd" else "diffusers.WanImageToVideoPipeline"
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


def _t5_tokenizer() -> Any:
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    return T5Tokenizer(
        vocab=[*pieces, *((chr(code), -3.0) for code in range(33, 127))], extra_ids=0, model_max_length=512
    )
