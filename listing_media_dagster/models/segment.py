"""Which part of a room each pixel shows: UperNet or Mask2Former, trained on the 150 classes of ADE20K."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.models.loaded_when_used import LoadedWhenUsed
from listing_media_dagster.models.memory import in_batches_of_one_shape
from listing_media_dagster.models.model import Field, ModelFailed, Rgb
from listing_media_dagster.models.networks import read_image_processor
from listing_media_dagster.models.weights_folder import BadWeights

CLASSES = 150  # of ADE20K: 0 wall, 3 floor, 5 ceiling, 8 window, 14 door …
_BATCH = {"cuda": 8, "cpu": 1}
_REDUCED_TO = 1536  # px of the long side before the network's own resizing: more holds nothing it could use
_SCORED_AT = 768  # px of the long side at which masks of Mask2Former are weighed against each other


class AdeSegmenter(LoadedWhenUsed):
    """`Segmenter` with the weights in `folder`; loaded when first asked."""

    _model: Any = None
    _processor: Any = None

    def _read(self) -> None:
        model_class, processor_class = _classes_for(self._path)
        self._processor = read_image_processor(processor_class, self._path, self.entry)
        self._model = self._network(model_class)

    def _drop(self) -> None:
        self._model = self._processor = None

    def classes(self, images: Sequence[Rgb]) -> list[NDArray[np.uint8]]:
        """Return each pixel's ADE20K class (H, W), at each picture's size. Raises `ModelFailed`."""
        with self._at_work():
            inputs = [self._prepared(image) for image in images]
            batch = _BATCH[self._hardware.device]
            scores = in_batches_of_one_shape(inputs, self._score, batch, self.entry.title)
        return [_winners(each, image.shape[:2]) for each, image in zip(scores, images, strict=True)]

    def _prepared(self, image: Rgb) -> Any:
        """Return the picture as the network wants it, (3, h, w); by itself, or it would be padded to its neighbours."""
        from PIL import Image

        return self._processor(Image.fromarray(_reduced(image)), return_tensors="pt")["pixel_values"][0]

    def _score(self, inputs: Sequence[Any]) -> list[Field]:
        """Return how much each class (150, h, w) is seen where, on the network's own grid."""
        import torch

        with torch.inference_mode():
            pixels: Any = torch.stack(list(inputs)).to(self._hardware.torch_device, self._model.dtype)
            answer = self._model(pixels)
            seen = answer.logits if "logits" in answer else _weigh_masks(answer, pixels.shape[-2:])
            scores: Field = seen.float().cpu().numpy()
        if not np.isfinite(scores).all():
            raise ModelFailed(f"{self.entry.title} gave scores that are no numbers")
        return list(scores)


def _classes_for(folder: Path) -> tuple[Any, Any]:
    """Return the transformers classes (model, image processor) for what lies in `folder`."""
    import transformers

    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind, labels = config["model_type"], len(config.get("id2label") or range(config.get("num_labels", 0)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadWeights(f"{path} is no transformers configuration with a model_type") from error
    known = {
        "upernet": (transformers.UperNetForSemanticSegmentation, transformers.SegformerImageProcessor),
        "mask2former": (transformers.Mask2FormerForUniversalSegmentation, transformers.Mask2FormerImageProcessor),
    }
    if kind not in known or labels != CLASSES:
        raise BadWeights(f"{path}: {kind!r} with {labels} classes isn't UperNet or Mask2Former for ADE20K's {CLASSES}")
    return known[kind]


def _weigh_masks(answer: Any, size: tuple[int, int]) -> Any:
    """Return class scores (n, 150, h, w) of Mask2Former: each query's class shares, spread over its mask."""
    import torch

    shares = answer.class_queries_logits.float().softmax(-1)[..., :-1]  # the last class is "nothing"
    masks = answer.masks_queries_logits.float()
    scale = min(1.0, _SCORED_AT / max(size))
    grid = tuple(max(1, round(side * scale)) for side in size)
    masks = torch.nn.functional.interpolate(masks, size=grid, mode="bilinear", align_corners=False).sigmoid()
    return torch.einsum("bqc,bqhw->bchw", shares, masks)


def _reduced(image: Rgb) -> Rgb:
    scale = _REDUCED_TO / max(image.shape[:2])
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _winners(scores: Field, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the class (H, W) that scores highest at each pixel of a picture of `size` (H, W).

    Only classes that win somewhere on the network's grid are enlarged: all 150 at 12 MP would take 7 GB.
    """
    best = np.full(size, -np.inf, np.float32)
    winner = np.zeros(size, np.uint8)
    for number in np.unique(scores.argmax(0)):
        enlarged = cv2.resize(scores[number], size[::-1], interpolation=cv2.INTER_LINEAR)
        higher = enlarged > best
        best[higher] = enlarged[higher]
        winner[higher] = number
    return winner
