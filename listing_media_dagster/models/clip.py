"""The scoring encoder: how well an image shows what its caption says, as CLIPScore, and which room a photo shows.

CLIPScore is 2.5·max(cos, 0) between OpenAI's ViT-B/32 embeddings of image and caption (Hessel et al. 2021). Other
encoders put their cosines elsewhere, so a threshold belongs to one encoder: `judge` refuses it for any other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from listing_media_dagster.listing import Noun, Room, RoomType, Sha256, Verdict
from listing_media_dagster.models.captions import ROOM_TEMPLATES, SEEN_AS, caption_for, contrasts_for
from listing_media_dagster.models.catalogue import catalogue_entry
from listing_media_dagster.models.open_clip_loading import load_open_clip
from listing_media_dagster.models.weights import BadWeights, ModelMissing, WeightsFolder, find_weights
from listing_media_dagster.models.weights_folder import inspect_folder

__all__ = [
    "CLIP_MODEL_ID",
    "ClipIdentity",
    "ClipScore",
    "ClipScorer",
    "caption_for",
    "contrasts_for",
    "find_clip_weights",
    "judge",
]

CLIP_MODEL_ID = "clip-vit-b32"
FORMULA = "2.5*max(cos,0)"
VERSION = "1"  # bumped when the same image and caption would score differently
ROOM_CONFIDENCE = 0.9
_BATCH = 16
_PREPARERS = 2  # threads that reduce photos to the encoder's size

Rgb = npt.NDArray[np.uint8]
Vector = npt.NDArray[np.float32]


class ClipIdentity(Noun):
    """Which encoder a score comes from; stored with every score, since a score means nothing without it."""

    model: str
    pretrained: str
    weights_sha256: Sha256
    revision: str | None = None
    formula: str = FORMULA
    calibrated_threshold: float | None = Field(default=None, description="the folder's own, for an encoder of its own")
    test_only: bool = False

    @property
    def is_reference(self) -> bool:
        """True for the encoder that CLIPScore and its thresholds are defined on."""
        reference = catalogue_entry(CLIP_MODEL_ID)
        return (self.model, self.pretrained, self.formula) == (reference.architecture, reference.pretrained, FORMULA)


class ClipScore(NamedTuple):
    """`cosine` -1..1; `score` = 2.5·max(cosine, 0); `contrast` 0..1, the caption's share against its contrasts."""

    cosine: float
    score: float
    contrast: float


def find_clip_weights(
    explicit: Path | None, models_dir: Path, *, hub_cache: Path | None = None, allow_test_weights: bool = False
) -> WeightsFolder:
    """Find CLIP ViT-B/32 on this machine: `explicit` folder, else pulled into `models_dir`, else the hub's cache.

    Never touches the network. Raises `ModelMissing` saying which command fetches it, `BadWeights` if what lies there
    was changed or is for tests only (accepted with `allow_test_weights`).
    """
    entry = catalogue_entry(CLIP_MODEL_ID)
    return find_weights(entry, explicit, models_dir, hub_cache=hub_cache, allow_test_weights=allow_test_weights)


def judge(score: float, threshold: float, identity: ClipIdentity) -> Verdict:
    """Say whether an image with CLIPScore `score` may be published.

    `threshold` is on the scale of OpenAI's ViT-B/32. Another encoder is held to its own calibrated threshold; without
    one the image is "not_scored", since comparing it would mean nothing.
    """
    evidence = identity.model_dump()
    if identity.is_reference or identity.test_only:
        applied = threshold
    elif identity.calibrated_threshold is not None:
        applied = identity.calibrated_threshold
    else:
        return Verdict(
            gate="clip",
            outcome="not_scored",
            score=score,
            reason=(
                f"the threshold {threshold:g} is for OpenAI's ViT-B/32; the encoder {identity.model} "
                f"({identity.pretrained}) has none: set calibrated_threshold in its listing_media.json"
            ),
            evidence=evidence,
        )
    if score >= applied:
        return Verdict(gate="clip", outcome="passed", score=score, threshold=applied, evidence=evidence)
    return Verdict(
        gate="clip",
        outcome="failed",
        score=score,
        threshold=applied,
        reason=f"CLIPScore {score:.3f} is below {applied:g}: the picture doesn't show enough of its caption",
        evidence=evidence,
    )


class ClipScorer:
    """A loaded encoder. Safe to use from several threads.

    An image's scores are the same whatever it is scored with, but for their last digit (a few of them on a GPU).
    """

    def __init__(self, identity: ClipIdentity, model: Any, preprocess: Any, tokenizer: Any, device: str) -> None:
        self.identity = identity
        self._model = model
        self._preprocess = preprocess
        self._tokenizer = tokenizer
        self._device = device
        self._turn = threading.Lock()
        self._texts: dict[str, Vector] = {}

    @classmethod
    def load(cls, folder: WeightsFolder | Path, device: str = "cpu", *, allow_test_weights: bool = False) -> ClipScorer:
        """Load the open_clip model in `folder` (config and safetensors) onto `device`.

        Raises `ModelMissing` if open_clip isn't installed or a file is absent, `BadWeights` if the weights can't be
        loaded whole, don't fit the config, or are for tests only. A model with random weights never comes out.
        """
        if not isinstance(folder, WeightsFolder):
            folder = inspect_folder(catalogue_entry(CLIP_MODEL_ID), folder, allow_test_weights=allow_test_weights)
        elif folder.card.test_only and not allow_test_weights:
            raise BadWeights(f"the weights in {folder.path} were made for tests and say nothing about photos")
        try:
            import open_clip  # noqa: F401
        except ImportError as error:
            how = "install what runs it: pip install 'listing-media-dagster[models]'"
            raise ModelMissing(catalogue_entry(CLIP_MODEL_ID).title, how) from error
        identity = _identify(folder)
        try:
            model, preprocess, tokenizer = load_open_clip(folder.path, folder.weights, device)
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise BadWeights(f"{folder.weights} can't be loaded: {reason}") from error
        return cls(identity, model, preprocess, tokenizer, device)

    def score(
        self,
        images: Sequence[Rgb],
        captions: Sequence[str],
        contrasts: Sequence[Sequence[str]] | None = None,
    ) -> list[ClipScore]:
        """Score each image (rgb: uint8 (H, W, 3), sRGB, any size) against its own caption.

        `contrasts` holds, for each image, captions that it should fit worse (default: those of an unknown room).
        """
        if contrasts is None:
            contrasts = [contrasts_for(Room(), altered=False)] * len(images)
        if not len(images) == len(captions) == len(contrasts):
            raise ValueError(
                f"{len(images)} images need as many captions and contrasts, not {len(captions)} and {len(contrasts)}"
            )
        texts = self._embed_texts(
            [text for asked in zip(captions, contrasts, strict=True) for text in (asked[0], *asked[1])]
        )
        scores = []
        for embedding, caption, others in zip(self._embed_images(images), captions, contrasts, strict=True):
            cosines = np.array([float(embedding @ texts[text]) for text in (caption, *others)])
            # Beyond these digits stands the rounding of the arithmetic, which is another one in every batch.
            cosine = round(float(cosines[0]), 5)
            share = float(_softmax(cosines * self._logit_scale)[0])
            scores.append(ClipScore(cosine=cosine, score=round(2.5 * max(cosine, 0.0), 5), contrast=round(share, 4)))
        return scores

    def classify_room(self, images: Sequence[Rgb]) -> list[Room]:
        """Say which room each image shows, by zero-shot comparison; unknown unless at least 0.9 sure.

        Only kinds that can be told by sight are named (`captions.SEEN_AS`): an empty room or a detail stays unknown.
        """
        kinds = list(SEEN_AS)
        owner = [kinds.index(kind) for kind, phrases in SEEN_AS.items() for _ in phrases]
        texts = self._embed_phrases([words for phrases in SEEN_AS.values() for words in phrases])
        rooms = []
        for embedding in self._embed_images(images):
            shares = np.bincount(owner, weights=_softmax(texts @ embedding * self._logit_scale), minlength=len(kinds))
            best = int(shares.argmax())
            confidence = round(min(float(shares[best]), 1.0), 4)
            if kinds[best] is RoomType.UNKNOWN or confidence < ROOM_CONFIDENCE:
                rooms.append(Room())
            else:
                rooms.append(Room(type=kinds[best], confidence=confidence, decided_by="CLIP"))
        return rooms

    @property
    def _logit_scale(self) -> float:
        return float(self._model.logit_scale.detach().exp())

    def _embed_images(self, images: Sequence[Rgb]) -> list[Vector]:
        import torch
        from PIL import Image

        embeddings: list[Vector] = []
        with ThreadPoolExecutor(_PREPARERS, thread_name_prefix="clip") as pool:
            # Photos are reduced while the encoder works on those before them.
            prepared = pool.map(lambda rgb: self._preprocess(Image.fromarray(rgb)), images)
            while pixels := list(islice(prepared, _BATCH)):
                with torch.inference_mode(), self._turn, self._precision():
                    encoded = self._model.encode_image(torch.stack(pixels).to(self._device), normalize=True)
                embeddings.extend(encoded.float().cpu().numpy())
        return embeddings

    def _precision(self) -> Any:
        """16-bit arithmetic on CUDA, where it is native to every device that torch still runs on."""
        import torch

        return torch.autocast("cuda", torch.float16) if self._device.startswith("cuda") else nullcontext()

    def _embed_texts(self, texts: Sequence[str]) -> dict[str, Vector]:
        """Return the unit embedding of each text; each is computed once in the life of the scorer."""
        import torch

        new = sorted({text for text in texts if text not in self._texts})
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            with torch.inference_mode(), self._turn, self._precision():
                encoded = self._model.encode_text(self._tokenizer(batch).to(self._device), normalize=True)
            self._texts.update(zip(batch, encoded.float().cpu().numpy(), strict=True))
        return {text: self._texts[text] for text in texts}

    def _embed_phrases(self, phrases: Sequence[str]) -> Vector:
        """Return (len(phrases), d) unit embeddings, each the mean over the ways a photo of it may be described."""
        wordings = [[template.format(words) for template in ROOM_TEMPLATES] for words in phrases]
        texts = self._embed_texts([text for wording in wordings for text in wording])
        means = np.stack([np.mean([texts[text] for text in wording], axis=0) for wording in wordings])
        units: Vector = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
        return units


def _identify(folder: WeightsFolder) -> ClipIdentity:
    """Name the encoder in `folder` from its config and its card; raises `BadWeights` where the two contradict."""
    import open_clip

    entry = catalogue_entry(CLIP_MODEL_ID)
    config_path = folder.path / "open_clip_config.json"
    try:
        config = json.loads(config_path.read_text(encoding="utf-8"))["model_cfg"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadWeights(f"{config_path} is no open_clip configuration with a model_cfg") from error
    is_architecture = config == open_clip.get_model_config(entry.architecture)
    if folder.card.pretrained == entry.pretrained and not is_architecture and not folder.card.test_only:
        # Under plain ViT-B-32 (GELU instead of QuickGELU) those weights load without a word.
        raise BadWeights(
            f"{config_path} isn't that of {entry.architecture}: "
            f"the {entry.pretrained} weights would load under it and score wrongly"
        )
    return ClipIdentity(
        model=entry.architecture if is_architecture else f"open_clip {config.get('vision_cfg', {})}",
        pretrained=folder.card.pretrained or "unknown",
        weights_sha256=folder.weights_sha256,
        revision=folder.revision,
        calibrated_threshold=folder.card.calibrated_threshold,
        test_only=folder.card.test_only,
    )


def _softmax(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    shares = np.exp(logits - logits.max())
    normalised: npt.NDArray[np.floating[Any]] = shares / shares.sum()
    return normalised
