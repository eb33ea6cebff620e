"""How near things are in each photo of the film, which gives the camera's move depth: by staging, else by a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import dagster as dg
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.assets.animation import Choose, Read, Send, lasting_reason
from listing_media_dagster.assets.chosen_models import ChosenModels
from listing_media_dagster.assets.model_work import StoredFiles, named_for
from listing_media_dagster.assets.stage_run import StageRun
from listing_media_dagster.gpu.job import Item, ItemResult, WorkKind
from listing_media_dagster.gpu.router import Routed
from listing_media_dagster.gpu.routes.route import RouteFailed
from listing_media_dagster.gpu.work.depth import NEARNESS, PICTURE
from listing_media_dagster.listing import Photo, StoredImage, StoredObject
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.tour.parallax import nearness_of_depth

DEPTH = "depth.png"
_ROLE = "nearness"


@dataclass(frozen=True)
class NearnessMaps:
    """The maps by photo id: `metric` ones hold mm (16-bit PNG), the others nearness (0 farthest to 65535 nearest)."""

    metric: Mapping[str, StoredObject] = field(default_factory=dict)
    relative: Mapping[str, StoredObject] = field(default_factory=dict)
    companions: Mapping[str, StoredObject] = field(default_factory=dict)
    routed: tuple[Routed, ...] = ()

    def digest(self, photo_id: str) -> str:
        """Return what names a photo's map; empty where it has none."""
        stored = self.metric.get(photo_id) or self.relative.get(photo_id)
        return stored.sha256 if stored else ""

    def loader(self, stage: StageRun) -> Callable[[str], NDArray[np.floating]]:
        """Return what reads a photo's map as nearness (h, w), 0 farthest to 1 nearest."""

        def load(photo_id: str) -> NDArray[np.floating]:
            if photo_id in self.metric:
                return nearness_of_depth(_read_png(self.metric[photo_id], stage))
            return np.asarray(_read_png(self.relative[photo_id], stage) / np.float32(65535), np.float32)

        return load


def find_nearness(
    photos: Mapping[str, Photo], shown: Mapping[str, StoredImage], stage: StageRun, choose: Choose, send: Send
) -> NearnessMaps:
    """Return the maps of the `shown` pictures: a staged room's own, for the others a model's where one is installed."""
    metric = {
        name: photo.attachments[DEPTH]
        for name, photo in photos.items()
        if name in shown and photo.is_staged and photo.publishes_altered and DEPTH in photo.attachments
    }
    models = choose(Stage.DEPTH)
    others = [name for name in shown if name not in metric]
    if not models.first or not others:
        return NearnessMaps(metric)
    # Where the weights aren't here, the recipe tells of another commit of them.
    measured_with = models.first.weights_sha256 or f"{models.first.id} {models.first.recipe}"
    roles = {name: f"{_ROLE} {shown[name].sha256} {measured_with}" for name in others}
    kept = stage.previous.companions if stage.previous else {}
    maps = {name: kept[role] for name, role in roles.items() if role in kept and not stage.media.verify([kept[role]])}
    missing = [name for name in others if name not in maps]
    routed: tuple[Routed, ...] = ()
    if missing:
        made, routed = _measured(missing, shown, models, stage, send)
        maps |= made
    return NearnessMaps(metric, maps, {roles[name]: stored for name, stored in maps.items()}, routed)


def _measured(
    names: Sequence[str], shown: Mapping[str, StoredImage], models: ChosenModels, stage: StageRun, send: Send
) -> tuple[dict[str, StoredObject], tuple[Routed, ...]]:
    files = StoredFiles(stage)
    items = tuple(Item(id=name, inputs={PICTURE: files.add(name, shown[name])}) for name in names)
    job = models.job(WorkKind.DEPTH, items)
    made: dict[str, StoredObject] = {}

    def take(route: str, result: ItemResult, read: Read) -> None:
        if result.outcome == "ok":
            made[result.item_id] = stage.media.write(stage.key(f"nearness/{result.item_id}.png"), read(NEARNESS))

    try:
        return made, (send(named_for(job, stage), files, take),)
    except (dg.Failure, RouteFailed) as failed:
        stage.say(f"filmed without depth: {lasting_reason(failed)}")
        return made, ()


def _read_png(stored: StoredObject, stage: StageRun) -> NDArray[np.uint16]:
    decoded = cv2.imdecode(np.frombuffer(stage.media.read_verified(stored), np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 2:
        raise dg.Failure(f"{stored.key} is no 16-bit map; materialize the asset that made it again")
    return np.asarray(decoded, np.uint16)
