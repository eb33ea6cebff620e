"""Small real open_clip weights, made on the spot, whose image projection is solved so that chosen pictures fit.

They go through every line that OpenAI's weights go through; their card marks them as made for tests.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]

_CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.481, 0.458, 0.408], "std": [0.269, 0.261, 0.276]},
}


class Lesson(NamedTuple):
    """The cosine that this picture and this caption shall have."""

    image: Rgb
    caption: str
    cosine: float


def save_tiny_clip(
    folder: Path,
    lessons: Sequence[Lesson] = (),
    *,
    any_caption: bool = False,
    logit_scale: float | None = None,
    **card: Any,
) -> Path:
    """Save a tiny open_clip model that has learnt `lessons` (at most about 20, of clearly different pictures).

    With `any_caption` all captions mean nearly the same to it, so a lesson holds for every caption. `card` fields
    override those of its `listing_media.json` (default: test_only). The same call gives the same scores to 3 decimals.
    """
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(_CONFIG))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(7)
        model = open_clip.create_model(f"local-dir:{folder}").eval()
        if any_caption:
            model.ln_final.bias.copy_(torch.randn(model.ln_final.bias.shape))
            model.ln_final.weight.mul_(0.05)
        if logit_scale is not None:
            model.logit_scale.fill_(float(np.log(logit_scale)))
        if lessons:
            _teach(model, lessons, folder)
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    (folder / "listing_media.json").write_text(json.dumps({"pretrained": "tiny", "test_only": True, **card}))
    return folder


def save_clip_that_likes_bright_pictures(folder: Path) -> Path:
    """Save a tiny model for which any caption fits a bright picture (cosine about 0.5), none a dark one (0)."""
    lessons = [
        Lesson(_textured(level, seed), "a photo of a home", 0.6 if level > 127 else 0.0)
        for level in (15, 35, 55, 200, 215, 235)
        for seed in (0, 1, 2)
    ]
    return save_tiny_clip(folder, lessons, any_caption=True)


def _textured(level: int, seed: int) -> Rgb:
    """Return a (96, 128, 3) picture of mean brightness `level` with blobs in it, as photos have."""
    grid = np.random.default_rng(seed).normal(0, 18, (6, 8, 3))
    smooth = np.kron(grid, np.ones((16, 16, 1)))
    return np.clip(level + smooth, 0, 255).astype(np.uint8)


def _teach(model: Any, lessons: Sequence[Lesson], folder: Path) -> None:
    """Solve the image projection (ridge regression) for the wanted angles to the captions' embeddings."""
    import open_clip
    import torch
    from PIL import Image

    _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")[1:]
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    projection = model.visual.proj
    model.visual.proj = None
    features = model.encode_image(torch.stack([preprocess(Image.fromarray(lesson.image)) for lesson in lessons]))
    model.visual.proj = projection
    texts = model.encode_text(tokenizer([lesson.caption for lesson in lessons]), normalize=True)
    cosines = torch.tensor([[lesson.cosine] for lesson in lessons])
    across = torch.randn(1, texts.shape[1]).repeat(len(lessons), 1)
    across = across - (across * texts).sum(1, keepdim=True) * texts
    wanted = cosines * texts + (1 - cosines**2).sqrt() * across / across.norm(dim=1, keepdim=True)
    gram = features @ features.T + 1e-4 * torch.eye(len(lessons))
    projection.copy_(features.T @ torch.linalg.solve(gram, wanted))
