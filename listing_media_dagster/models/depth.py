"""How near things in a photo are: Depth Anything V2, one relative inverse depth a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from listing_media_dagster.models.loaded_when_used import LoadedWhenUsed
from listing_media_dagster.models.memory import in_batches_of_one_shape
from listing_media_dagster.models.model import Field, ModelFailed, Rgb
from listing_media_dagster.models.networks import read_image_processor

_BATCH = {"cuda": 16, "cpu": 2}
_OUTLIERS = 0.1  # per cent at either end that may not set the scale: a lamp's glare, a dark corner


class DepthAnything(LoadedWhenUsed):
    """`DepthEstimator` with the weights in `folder`; loaded when first asked."""

    _model: Any = None
    _processor: Any = None

    def _read(self) -> None:
        from transformers import DepthAnythingForDepthEstimation, DPTImageProcessor

        self._processor = read_image_processor(DPTImageProcessor, self._path, self.entry)
        self._model = self._network(DepthAnythingForDepthEstimation)

    def _drop(self) -> None:
        self._model = self._processor = None

    def nearness(self, images: Sequence[Rgb]) -> list[Field]:
        """Return relative inverse depth (H, W), 0 farthest to 1 nearest, at each picture's size.

        A picture without any depth to it (a wall seen flat) is 0 all over. Raises `ModelFailed`.
        """
        with self._at_work():
            inputs = [self._prepared(image) for image in images]
            batch = _BATCH[self._hardware.device]
            maps = in_batches_of_one_shape(inputs, self._predict, batch, self.entry.title)
        return [_at_size(found, image) for found, image in zip(maps, images, strict=True)]

    def _prepared(self, image: Rgb) -> Any:
        """Return the picture as the network wants it, (3, h, w); shrunk beforehand, which is where the time goes."""
        from PIL import Image

        needed = 2 * max(self._processor.size["height"], self._processor.size["width"])
        scale = needed / min(image.shape[:2])
        if scale < 1:
            image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        return self._processor(Image.fromarray(image), return_tensors="pt")["pixel_values"][0]

    def _predict(self, inputs: Sequence[Any]) -> list[Field]:
        import torch

        with torch.inference_mode():
            pixels = torch.stack(list(inputs)).to(self._hardware.torch_device, self._model.dtype)
            depth = self._model(pixels).predicted_depth.float().cpu().numpy()
        if not np.isfinite(depth).all():
            raise ModelFailed(f"{self.entry.title} gave depths that are no numbers")
        return list(depth)


def _at_size(disparity: Field, image: Rgb) -> Field:
    """Return `disparity` scaled to 0..1 at the size of `image`."""
    low, high = np.percentile(disparity, (_OUTLIERS, 100 - _OUTLIERS))
    if high - low < 1e-6:
        return np.zeros(image.shape[:2], np.float32)
    scaled = np.clip((disparity - low) / (high - low), 0, 1)
    size = (image.shape[1], image.shape[0])
    return np.asarray(np.clip(cv2.resize(scaled, size, interpolation=cv2.INTER_LINEAR), 0, 1), np.float32)
