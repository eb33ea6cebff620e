"""CLIP: the scores of a listing of 25 photos of 12 MP, against open_clip asked for one photo after the other.

Both score the same decoded photos against the same captions and contrasts with ViT-B/32 at full size and random
weights (no figure depends on their values), in the same run, in turns. The peer is what open_clip's own README shows:
prepare a photo, encode it, tokenise and encode its texts.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from listing_media_dagster.listing import Room, RoomType
from listing_media_dagster.models.captions import caption_for, contrasts_for

PHOTOS, WIDTH, HEIGHT, ROUNDS, BAR = 25, 4032, 3024, 3, 1.5
ROOMS = (RoomType.LIVING_ROOM, RoomType.KITCHEN, RoomType.BEDROOM, RoomType.BATHROOM, RoomType.EXTERIOR_FRONT)
Rgb = NDArray[np.uint8]
Seconds = dict[str, float]


def run(photos: int = PHOTOS, size: tuple[int, int] = (WIDTH, HEIGHT), rounds: int = ROUNDS) -> dict[str, Any]:
    """Return `{name, ours, peers, ratio, machine}`; `ratio`: the peer's seconds over ours, medians of `rounds`."""
    import torch

    from listing_media_dagster.models.clip import ClipScorer

    pictures = [_photo(seed, size) for seed in range(photos)]
    rooms = [
        Room(type=ROOMS[number % len(ROOMS)], confidence=1.0, decided_by="listing.yaml") for number in range(photos)
    ]
    captions = [caption_for(room, None, altered=False) for room in rooms]
    contrasts = [contrasts_for(room, altered=False) for room in rooms]
    with tempfile.TemporaryDirectory(prefix="clip-") as name:
        folder = save_full_size_clip(Path(name))
        ours, theirs, agree = [], [], 0.0
        one_by_one = _OneByOne(folder)
        ClipScorer.load(folder, allow_test_weights=True).score(pictures[:2], captions[:2], contrasts[:2])
        one_by_one.score(pictures[:1], captions[:1], contrasts[:1])
        for _ in range(rounds):
            scorer = ClipScorer.load(folder, allow_test_weights=True)  # anew: it remembers the texts it has seen
            scored, our_seconds = _timed(lambda: scorer.score(pictures, captions, contrasts))  # noqa: B023
            told, their_seconds = _timed(lambda: one_by_one.score(pictures, captions, contrasts))
            agree = max(abs(a.cosine - b) for a, b in zip(scored, told, strict=True))
            ours.append(our_seconds)
            theirs.append(their_seconds)
    ratio = {key: round(_median(theirs)[key] / _median(ours)[key], 2) for key in ("wall_s", "cpu_s")}
    return {
        "name": "clip",
        "ours": _median(ours),
        "peers": {"open_clip, one photo after the other": _median(theirs)},
        "ratio": {**ratio, "bar": BAR},
        "largest_difference_of_cosines": round(agree, 6),
        "photos": photos,
        "pixels": size[0] * size[1],
        "rounds": rounds,
        "torch": {"version": torch.__version__, "threads": torch.get_num_threads()},
        "machine": machine(),
    }


def save_full_size_clip(folder: Path) -> Path:
    """Save ViT-B/32 as the real weights lie on a disk, but random, and marked so."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    architecture = "ViT-B-32-quickgelu"
    torch.manual_seed(1)
    save_file(open_clip.create_model(architecture).state_dict(), folder / "open_clip_model.safetensors")
    normal = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    config = {"model_cfg": open_clip.get_model_config(architecture), "preprocess_cfg": normal}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    (folder / "listing_media.json").write_text(json.dumps({"pretrained": "random", "test_only": True}))
    return folder


class _OneByOne:
    """open_clip as its README uses it."""

    def __init__(self, folder: Path) -> None:
        import open_clip

        source = f"local-dir:{folder}"
        self._model, self._preprocess = open_clip.create_model_from_pretrained(source, device="cpu")
        self._tokenizer = open_clip.get_tokenizer(source)

    def score(
        self, pictures: Sequence[Rgb], captions: Sequence[str], contrasts: Sequence[Sequence[str]]
    ) -> list[float]:
        import torch
        from PIL import Image

        cosines = []
        for picture, caption, others in zip(pictures, captions, contrasts, strict=True):
            with torch.inference_mode():
                image = self._preprocess(Image.fromarray(picture)).unsqueeze(0)
                seen = self._model.encode_image(image, normalize=True)
                said = self._model.encode_text(self._tokenizer([caption, *others]), normalize=True)
                cosines.append(float((seen @ said.T)[0, 0]))
        return cosines


def _photo(seed: int, size: tuple[int, int]) -> Rgb:
    grid = np.random.default_rng(seed).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _timed(work: Callable[[], Any]) -> tuple[Any, Seconds]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def _median(rounds: Sequence[Seconds]) -> Seconds:
    return {key: round(statistics.median(each[key] for each in rounds), 3) for key in rounds[0]}
