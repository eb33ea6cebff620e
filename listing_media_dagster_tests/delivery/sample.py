"""Small made-up photos and package inputs for the tests of this folder."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.delivery.package import PackageInput
from listing_media_dagster.listing import (
    Operation,
    OperationName,
    Photo,
    Room,
    RoomType,
    SourceFile,
    StoredImage,
    Verdict,
)

FAILED = Verdict(gate="clip", outcome="failed", score=0.5, threshold=0.75)
STAGED = Operation(name=OperationName.VIRTUAL_STAGING, version="1", parameters={"style": "warm_modern"})
BALANCED = Operation(name=OperationName.WHITE_BALANCE, version="1")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def stored(what: str, width: int = 600, height: int = 400) -> StoredImage:
    return StoredImage(key=what, sha256=sha(what), size=1, width=width, height=height)


def photo(name: str, room: RoomType = RoomType.UNKNOWN, *, altered: bool = False, **fields: Any) -> Photo:
    defaults: dict[str, Any] = {
        "photo_id": name,
        "sources": (SourceFile(name=f"{name}.jpg", key=name, sha256=sha(f"source {name}")),),
        "image": stored(f"{name} altered" if altered else name),
        "base": stored(name) if altered else None,
        "room": Room(type=room),
        "operations": (BALANCED, STAGED) if altered else (BALANCED,),
    }
    return Photo(**defaults | fields)


def pixels(seed: str, width: int = 600, height: int = 400) -> NDArray[np.uint8]:
    """A smooth picture whose colour tells which one it is."""
    colour = np.frombuffer(hashlib.sha256(seed.encode()).digest()[:3], np.uint8) // 2 + 60
    ramp = np.linspace(0, 60, width)[None, :, None]
    return (np.broadcast_to(colour, (height, width, 3)) + ramp).clip(0, 255).astype(np.uint8)


class Loads:
    """Callables that give pictures and remember which ones were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, what: str, width: int = 600, height: int = 400) -> Any:
        def load() -> NDArray[np.uint8]:
            self.asked.append(what)
            return pixels(what, width, height)

        return load


def given(photo: Photo, loads: Loads, width: int = 600, height: int = 400) -> PackageInput:
    publishable = photo.publishable_image
    return PackageInput(
        photo,
        publishable=loads(publishable.key if publishable else "nothing", width, height),
        base=loads(photo.base.key, width, height) if photo.base else None,
        before=loads(f"{photo.photo_id} before", width, height),
    )
