"""Depth, segmentation and upscaling networks of the real classes, tiny and random, saved as the real ones are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from listing_media_dagster.models.entry import CatalogueEntry, Part
from listing_media_dagster.models.hardware import Hardware

CPU = Hardware(device="cpu", name="CPU", memory_gb=8)


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Let torch work on one thread: for tiny networks on a busy machine, waiting for a second one costs sixfold."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def tiny_entry(title: str, folder: Path, loads: str, **fields: Any) -> CatalogueEntry:
    """Return an entry whose only part, of class `loads`, lies in `folder`, marked as made for tests."""
    part = Part(role="model", loads=loads, folder=folder, files=("*.json", "*.safetensors"), size_mb=1)
    told = {"id": "tiny", "purpose": "tests", "stages": ("depth",), "family": "tiny", "licence": "none", **fields}
    return CatalogueEntry(
        title=title, commercial_use="no", parts=(part,), dtypes=("float32",), cpu_seconds=1, test_only=True, **told
    )


def save_tiny_depth(folder: Path) -> Path:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

    backbone = Dinov2Config(
        hidden_size=32, num_attention_heads=2, num_hidden_layers=4, intermediate_size=37, image_size=56, patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8] * 4,
        fusion_hidden_size=8,
        head_hidden_size=8,
    )
    model = _seeded(lambda: DepthAnythingForDepthEstimation(config))
    for layer in (model.head.conv1, model.head.conv2, model.head.conv3):
        layer.weight.data.mul_(30)  # fresh weights are so small that every picture would come out flat
    model.head.conv3.bias.data.fill_(1.0)  # or its last ReLU lets nothing through
    model.save_pretrained(folder)
    DPTImageProcessor(size={"height": 56, "width": 56}, ensure_multiple_of=14, keep_aspect_ratio=True).save_pretrained(
        folder
    )
    return folder


def save_tiny_upernet(folder: Path) -> Path:
    from transformers import ConvNextConfig, SegformerImageProcessor, UperNetConfig, UperNetForSemanticSegmentation

    backbone = ConvNextConfig(
        depths=[1] * 4, hidden_sizes=[8, 8, 16, 16], out_features=["stage1", "stage2", "stage3", "stage4"]
    )
    config = UperNetConfig(
        backbone_config=backbone, num_labels=150, hidden_size=16, auxiliary_in_channels=16, auxiliary_channels=8,
        pool_scales=[1, 2],
    )  # fmt: skip
    _seeded(lambda: UperNetForSemanticSegmentation(config)).save_pretrained(folder)
    SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def save_tiny_mask2former(folder: Path) -> Path:
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        SwinConfig,
    )

    backbone = SwinConfig(
        image_size=64, embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = Mask2FormerConfig(
        backbone_config=backbone, num_labels=150, feature_size=32, mask_feature_size=32, hidden_dim=32,
        encoder_feedforward_dim=16, dim_feedforward=16, encoder_layers=1, decoder_layers=2, num_attention_heads=2,
        num_queries=5,
    )  # fmt: skip
    _seeded(lambda: Mask2FormerForUniversalSegmentation(config)).save_pretrained(folder)
    # As the real one's: a picture keeps its proportions, and several are padded to the largest.
    sizes = {"shortest_edge": 64, "longest_edge": 256}
    Mask2FormerImageProcessor(size=sizes, size_divisor=32).save_pretrained(folder)
    return folder


def save_tiny_swin2sr(folder: Path) -> Path:
    import torch
    from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

    config = Swin2SRConfig(embed_dim=12, depths=[1], num_heads=[2], window_size=4, image_size=16, upscale=2)
    model = _seeded(lambda: Swin2SRForImageSuperResolution(config))
    with torch.no_grad():
        model.upsample.final_convolution.bias.fill_(0.5)  # a grey picture, so that it isn't taken for a failed one
    model.save_pretrained(folder)
    return folder


def _seeded(build: Any) -> Any:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return build().eval()
