"""Whole photos reworked by a diffusion model, lightly, or enlarged by a network. Asked for, and always labelled.

Both invent fine detail, so both stay beside the photo and never become the base. They live here, not in `photo`,
which holds what is true to the camera: like staging they are judged by the structure gate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Operation, OperationName, Verdict, fingerprint
from listing_media_dagster.models.model import EditRequest, ImageEditor, ModelFailed, Upscaler
from listing_media_dagster.models.weights_folder import BadWeights, ModelMissing
from listing_media_dagster.staging.altered import AlteredPicture, Architecture, CannotAlter, alter_until_accepted
from listing_media_dagster.staging.arrays import Rgb
from listing_media_dagster.staging.redraw import Ask, Redrawn, redraw, refuse_test_models
from listing_media_dagster.staging.registration import Misregistered, laid_over
from listing_media_dagster.staging.render import Window
from listing_media_dagster.staging.seeds import Attempt
from listing_media_dagster.staging.structure_gate import KNOWN_LIMITS

VERSION = "2"
Progress = Callable[[str], None]

STRENGTH = 0.2  # of the redrawing: share of the noise that is put in and taken out again
TILE, OVERLAP = 1024, 160  # px: larger photos are worked on in tiles, which are faded into each other
PROMPT = "a sharp, clean real estate photograph of {room}, natural light, fine texture"
NEGATIVE = "blurry, noise, jpeg artefacts, oversaturated, painting, new objects, people, text"
# Tone is held by registration, so surfaces may gain texture; edges and openings keep staging's limits.
POLISH_LIMITS = {**KNOWN_LIMITS, "floor_change": 0.9, "wall_change": 0.5}
ENLARGE_LIMITS = {**KNOWN_LIMITS, "floor_change": 0.9, "wall_change": 0.5}


@dataclass(frozen=True)
class Polishing:
    """Reworks photos with the first of `editors` that can; models made for tests need `allow_test_models`."""

    editors: tuple[ImageEditor, ...]
    allow_test_models: bool = False

    def __post_init__(self) -> None:
        refuse_test_models(self.editors, allowed=self.allow_test_models)

    @property
    def version(self) -> str:
        return fingerprint(version=VERSION, models=[(each.entry.id, each.weights_sha256) for each in self.editors])

    def polish(
        self, base: Rgb, room: str, first_seed: int, progress: Progress = lambda what: None
    ) -> tuple[AlteredPicture, tuple[Attempt, ...]]:
        """Return the photo of `room` ("a kitchen") reworked at its own size, and every attempt.

        Raises `CannotAlter` with the reason, `ModelFailed` where no editor could draw.
        """
        architecture = Architecture.of(base)

        def make(seed: int) -> AlteredPicture:
            rgb, drawn, passed_over = self._redrawn(base, room, seed, progress)
            progress("checking the structure")
            verdict = _judged(architecture, base, rgb, POLISH_LIMITS)
            return AlteredPicture(rgb, (_entry(drawn, seed, passed_over),), (verdict,))

        return alter_until_accepted(make, first_seed)

    def _redrawn(self, base: Rgb, room: str, seed: int, progress: Progress) -> tuple[Rgb, list[Redrawn], list[str]]:
        """Return the photo, its tiles and why editors were passed over.

        All tiles are from one editor: two would not look alike where they meet.
        """
        tiles = tiles_of((base.shape[1], base.shape[0]))
        asked = [_ask(base[tile.rows_columns], room, tile_seed(seed, number)) for number, tile in enumerate(tiles)]
        reasons: list[str] = []
        for editor in self.editors:
            answers = redraw([editor], asked, progress)
            drawn = [answer for answer in answers if isinstance(answer, Redrawn)]
            if len(drawn) == len(tiles):
                return _joined(base, tiles, drawn), drawn, reasons
            reasons += [str(next(answer for answer in answers if isinstance(answer, ModelFailed)))]
        raise ModelFailed("; ".join(reasons) or "no image editor is installed")


def tiles_of(size: tuple[int, int]) -> list[Window]:
    """Return the windows, `TILE` px at most, that cover a picture of `size` (width, height) and overlap."""
    columns, rows = (_starts(length) for length in size)
    width, height = (min(length, TILE) for length in size)
    return [Window(x, y, x + width, y + height) for y in rows for x in columns]


def _starts(length: int) -> list[int]:
    if length <= TILE:
        return [0]
    count = -(-(length - OVERLAP) // (TILE - OVERLAP))
    return [round(number * (length - TILE) / (count - 1)) for number in range(count)]


def tile_seed(seed: int, number: int) -> int:
    """Return a seed for a tile: tiles with equal noise would show its pattern repeated."""
    return (seed + 7919 * number) % 2**31


def _ask(tile: Rgb, room: str, seed: int) -> Ask:
    def ask(editor: ImageEditor) -> EditRequest:
        size = editor.working_size((tile.shape[1], tile.shape[0]))
        method = cv2.INTER_AREA if size[0] < tile.shape[1] else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(tile, size, interpolation=method), np.uint8)
        prompt = PROMPT.format(room=room)
        return EditRequest(image=image, prompt=prompt, negative_prompt=NEGATIVE, seed=seed, strength=STRENGTH)

    return ask


def _joined(base: Rgb, tiles: Sequence[Window], drawn: Sequence[Redrawn]) -> Rgb:
    """Return the tiles laid over the photo and faded into each other; each keeps the photo's place and tone."""
    total = np.zeros(base.shape, np.float32)
    weight = np.zeros(base.shape[:2], np.float32)
    for tile, answer in zip(tiles, drawn, strict=True):
        own = base[tile.rows_columns]
        picture = np.asarray(cv2.resize(answer.rgb, tile.size, interpolation=cv2.INTER_CUBIC), np.uint8)
        try:
            laid, valid, _ = laid_over(picture, own, np.ones(own.shape[:2], bool))
        except Misregistered as off:
            raise CannotAlter(f"{answer.editor.entry.id}: {off}") from off
        share = _fading(tile.size)
        total[tile.rows_columns] += share[..., None] * np.where(valid[..., None], laid, own)
        weight[tile.rows_columns] += share
    return np.asarray(np.clip(np.rint(total / weight[..., None]), 0, 255), np.uint8)


def _fading(size: tuple[int, int]) -> NDArray[np.float32]:
    """Return a tile's weight (h, w): 1 inside, falling over `OVERLAP` px towards its border, never to 0."""
    across, down = (
        np.minimum(np.minimum(np.arange(length) + 1, length - np.arange(length)) / OVERLAP, 1.0) for length in size
    )
    return np.asarray(np.outer(down, across) ** 2 + 1e-6, np.float32)


def _judged(architecture: Architecture, base: Rgb, altered: Rgb, limits: dict[str, float]) -> Verdict:
    everywhere = np.ones(base.shape[:2], bool)
    return architecture.judge(base, altered, everywhere, ~everywhere, limits)


def _entry(drawn: Sequence[Redrawn], seed: int, passed_over: Sequence[str]) -> Operation:
    first = drawn[0]
    return Operation(
        name=OperationName.DIFFUSION_ENHANCEMENT,
        parameters={
            "prompt": first.request.prompt,
            "strength": STRENGTH,
            "tiles": len(drawn),
            **_passed_over(passed_over),
        },
        tool=first.editor.entry.id,
        version=VERSION,
        weights_sha256=first.editor.weights_sha256,
        seed=seed,
        generative=True,
    )


def _passed_over(reasons: Sequence[str]) -> dict[str, list[str]]:
    return {"passed_over": list(reasons)} if reasons else {}


@dataclass(frozen=True)
class Enlarging:
    """Enlarges photos with the first of `upscalers` that can; models made for tests need `allow_test_models`."""

    upscalers: tuple[Upscaler, ...]
    allow_test_models: bool = False

    def __post_init__(self) -> None:
        refuse_test_models(self.upscalers, allowed=self.allow_test_models)

    @property
    def version(self) -> str:
        return fingerprint(version=VERSION, models=[(each.entry.id, each.weights_sha256) for each in self.upscalers])

    def enlarge(self, base: Rgb) -> AlteredPicture:
        """Return the photo enlarged, judged at its own size. Raises `CannotAlter` or `ModelFailed`."""
        reasons: list[str] = []
        for upscaler in self.upscalers:
            try:
                (rgb,) = upscaler.enlarge([base])
                return _enlarged(base, rgb, upscaler, reasons)
            except (ModelFailed, ModelMissing, BadWeights) as failed:
                reasons.append(f"{upscaler.entry.id}: {failed}")
            except ValueError as refused:
                raise CannotAlter(str(refused)) from refused
        raise ModelFailed("; ".join(reasons) or "no upscaling model is installed")


def _enlarged(base: Rgb, rgb: Rgb, upscaler: Upscaler, passed_over: Sequence[str]) -> AlteredPicture:
    height, width = base.shape[:2]
    if rgb.dtype != np.uint8 or rgb.shape != (height * upscaler.factor, width * upscaler.factor, 3):
        raise ModelFailed(f"gave a picture {rgb.shape} where {upscaler.factor} times {base.shape} was asked for")
    back = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    operation = Operation(
        name=OperationName.DIFFUSION_UPSCALE,
        parameters={"factor": upscaler.factor, "from": [width, height], **_passed_over(passed_over)},
        tool=upscaler.entry.id,
        version=VERSION,
        weights_sha256=upscaler.weights_sha256,
        generative=True,
    )
    return AlteredPicture(rgb, (operation,), (_judged(Architecture.of(base), base, back, ENLARGE_LIMITS),))
