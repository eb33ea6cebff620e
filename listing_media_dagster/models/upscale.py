"""More pixels for a small photo: Swin2SR, tile by tile, so that any photo fits into any memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.loaded_when_used import LoadedWhenUsed
from listing_media_dagster.models.memory import in_batches
from listing_media_dagster.models.model import Field, ModelFailed, Rgb
from listing_media_dagster.models.weights_folder import WeightsFolder

TILE = 256  # px of the photo; a multiple of the network's window of 8
OVERLAP = 32  # px that neighbouring tiles share: the inner half is blended, the rest is context at either side
LARGEST_PX = 250_000_000  # of the result: beyond it a delivery format holds no more
_BATCH = {"cuda": 16, "cpu": 1}
_BLACK = 8  # 0..255: what no pixel of a result exceeds where 16-bit arithmetic went wrong


class Swin2SR(LoadedWhenUsed):
    """`Upscaler` with the weights in `folder`; loaded when first asked."""

    _model: Any = None

    def __init__(self, entry: CatalogueEntry, folder: WeightsFolder, hardware: Hardware) -> None:
        from transformers import Swin2SRConfig

        super().__init__(entry, folder, hardware)
        self.factor = int(Swin2SRConfig.from_pretrained(self._path, local_files_only=True).upscale)

    def _read(self) -> None:
        from transformers import Swin2SRForImageSuperResolution

        self._model = self._network(Swin2SRForImageSuperResolution)

    def _drop(self) -> None:
        self._model = None

    def enlarge(self, images: Sequence[Rgb]) -> list[Rgb]:
        """Return the pictures `factor` times as wide and high. Raises `ModelFailed`, ValueError beyond `LARGEST_PX`."""
        for image in images:
            if image.shape[0] * image.shape[1] * self.factor**2 > LARGEST_PX:
                raise ValueError(
                    f"{image.shape[1]}x{image.shape[0]} px, {self.factor} times enlarged, would be over "
                    f"{LARGEST_PX // 10**6} megapixels: leave a photo of that size as it is"
                )
        with self._at_work():
            return [self._enlarged(image) for image in images]

    def _enlarged(self, image: Rgb) -> Rgb:
        height, width = image.shape[:2]
        padded = _padded(image)
        rows, columns = (_cuts(side) for side in padded.shape[:2])
        made = np.empty((padded.shape[0] * self.factor, padded.shape[1] * self.factor, 3), np.uint8)
        above: Field | None = None
        for row in rows:
            tiles = [padded[row.place(TILE), column.place(TILE)] for column in columns]
            batch = _BATCH[self._hardware.device]
            strip = _beside(in_batches(tiles, self._predict, batch, self.entry.title), columns, self.factor)
            above = _lay_below(made, strip, above, row, self.factor)
        if made.max() < _BLACK <= image.mean():
            raise ModelFailed(f"{self.entry.title} gave a black picture")
        return np.ascontiguousarray(made[: height * self.factor, : width * self.factor])

    def _predict(self, tiles: Sequence[Rgb]) -> list[Field]:
        """Return the tiles enlarged, float32 (TILE·factor, TILE·factor, 3), 0..255."""
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack(tiles)).to(self._hardware.torch_device).permute(0, 3, 1, 2)
            made = self._model(pixels.to(self._model.dtype) / 255).reconstruction
            enlarged: Field = (made.float().clamp(0, 1) * 255).permute(0, 2, 3, 1).cpu().numpy()
        if not np.isfinite(enlarged).all():
            raise ModelFailed(f"{self.entry.title} gave pixels that are no numbers")
        return list(enlarged)


@dataclass(frozen=True)
class _Cut:
    """Where a tile begins, and where its predecessor ends (0: it is the first)."""

    start: int
    before_ends: int

    def place(self, length: int) -> slice:
        return slice(self.start, self.start + length)

    def ramp(self, factor: int) -> tuple[int, int]:
        """Return the px of the enlarged tile between which it takes over from its predecessor."""
        shared = self.before_ends - self.start
        return (shared // 4 * factor, (shared - shared // 4) * factor) if shared > 0 else (0, 0)


def _cuts(length: int) -> list[_Cut]:
    """Cut `length` (≥ TILE) into tiles of TILE px that overlap by at least OVERLAP; the last one ends with it."""
    step = TILE - OVERLAP
    starts = [*range(0, length - TILE, step), length - TILE]
    ends = [0, *(start + TILE for start in starts)]
    return [_Cut(start, end) for start, end in zip(starts, ends, strict=False)]


def _padded(image: Rgb) -> Rgb:
    """Return the picture mirrored outwards at its right and lower edge to at least one tile."""
    down, across = (max(0, TILE - side) for side in image.shape[:2])
    return np.pad(image, ((0, down), (0, across), (0, 0)), mode="symmetric") if down or across else image


def _weights(cut: _Cut, length: int, factor: int) -> NDArray[np.float32]:
    """Return how much of each px of an enlarged tile counts against its predecessor: 0, a straight rise, 1."""
    start, end = cut.ramp(factor)
    return np.clip((np.arange(length, dtype=np.float32) - start + 0.5) / max(end - start, 1), 0, 1)


def _beside(tiles: Sequence[Field], cuts: Sequence[_Cut], factor: int) -> Field:
    """Return a row of tiles joined, float32 (TILE·factor, W·factor, 3)."""
    strip = np.empty((TILE * factor, (cuts[-1].start + TILE) * factor, 3), np.float32)
    for tile, cut in zip(tiles, cuts, strict=True):
        place = strip[:, cut.start * factor : (cut.start + TILE) * factor]
        _blend(place, tile, cut, factor, axis=1)
    return strip


def _lay_below(made: Rgb, strip: Field, above: Field | None, cut: _Cut, factor: int) -> Field:
    """Write a strip of tiles into `made`, blended with the one above it; return it for the next one."""
    if above is not None:
        shared = (cut.before_ends - cut.start) * factor
        place = np.concatenate([above[-shared:], strip[shared:]])
        _blend(place, strip, cut, factor, axis=0)
        strip = place
    made[cut.start * factor : (cut.start + TILE) * factor] = np.rint(strip)
    return strip


def _blend(place: Field, tile: Field, cut: _Cut, factor: int, axis: int) -> None:
    """Lay `tile` over what `place` holds of its predecessor."""
    if cut.before_ends <= cut.start:
        place[:] = tile
        return
    share = _weights(cut, tile.shape[axis], factor)
    share = share[:, None, None] if axis == 0 else share[None, :, None]
    shared = (cut.before_ends - cut.start) * factor
    head = (slice(None),) * axis + (slice(0, shared),)
    tail = (slice(None),) * axis + (slice(shared, None),)
    weight = share[head]
    place[head] += (tile[head] - place[head]) * weight
    place[tail] = tile[tail]
