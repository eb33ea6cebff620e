"""Staging by a diffusion model, held to the room's geometry: it redraws furniture that stands where the layout put it.

The embedded back end surveys, arranges and renders; the render is what the model starts from, its depth and lines are
the model's controls, its coverage the mask. Of the model's picture only the furniture is kept, and its light on the
floor; everything else is the photo's.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import fingerprint
from listing_media_dagster.models.model import EditRequest, ImageEditor, ModelFailed, Segmenter
from listing_media_dagster.models.weights_folder import BadWeights, ModelMissing
from listing_media_dagster.staging.arrangement import Arrangement
from listing_media_dagster.staging.arrays import Mask
from listing_media_dagster.staging.back_ends import CannotStage, Progress, StagedRoom, StagingRequest, SurveyedRoom
from listing_media_dagster.staging.composite import StagedPixels
from listing_media_dagster.staging.further_measures import KEPT_LEAST, furniture_kept, weighed
from listing_media_dagster.staging.prompts import staging_prompt
from listing_media_dagster.staging.redraw import Redrawn, redraw, refuse_test_models
from listing_media_dagster.staging.registration import Misregistered, laid_over
from listing_media_dagster.staging.rendered import FurnishableRoom, RenderedStaging
from listing_media_dagster.staging.retouch import Cutting, cut_round, furnished
from listing_media_dagster.staging.seeds import Made
from listing_media_dagster.staging.structure_measures import grown
from listing_media_dagster.staging.surfaces import protected_regions

VERSION = "2"

STRENGTH = 0.65  # of the redrawing: below it renders stay renders, above it layouts drift
AT_ONCE = 8  # rooms kept in memory at a time; the next ones are rendered while a model draws these
GROWN, CONTACT = 0.004, 0.03  # of the long side: round furniture, and its contact shadow on the floor
EDGES_FROM, EDGES_SURE = 60, 140  # Canny's thresholds


@dataclass(frozen=True)
class DiffusedStaging:
    """Stages with the first of `editors` that can draw a room, in the geometry and layouts of `rendered`.

    `segmenter` protects built-ins that the geometry doesn't know. Models made for tests are refused unless
    `allow_test_models` (raises `NotForDelivery`).
    """

    rendered: RenderedStaging
    editors: tuple[ImageEditor, ...]
    segmenter: Segmenter | None = None
    allow_test_models: bool = False
    name: str = "diffusion"

    def __post_init__(self) -> None:
        models = (*self.editors, self.segmenter) if self.segmenter else self.editors
        refuse_test_models(models, allowed=self.allow_test_models)

    def version_for(self, kit: str) -> str:
        models = (*self.editors, self.segmenter) if self.segmenter else self.editors
        return fingerprint(
            version=VERSION,
            rendered=self.rendered.version_for(kit),
            models=[(model.entry.id, model.weights_sha256) for model in models],
        )

    def survey(self, request: StagingRequest) -> DiffusibleRoom:
        """Return the room that the photo shows, as `RenderedStaging` surveys it. Raises `CannotStage`."""
        room = self.rendered.survey(request)
        classes = self._classes(request.base)
        return DiffusibleRoom(self, room, protected_regions(room.geometry, classes), classes is not None)

    def _classes(self, base: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        if self.segmenter is None:
            return None
        try:
            (classes,) = self.segmenter.classes([base])
        except (ModelFailed, ModelMissing, BadWeights):
            return None  # the geometry protects by itself; the ledger says that it did
        return classes

    def furnish_together(self, rooms: Sequence[SurveyedRoom], seed: int, progress: Progress) -> list[Made]:
        """Return each of this back end's surveyed rooms furnished, or why it isn't; alone it would come out the same.

        While a model draws some rooms, the next ones are rendered.
        """
        own = [room for room in rooms if isinstance(room, DiffusibleRoom)]
        if len(own) != len(rooms):
            raise TypeError(f"only rooms that {self.name} surveyed can be furnished by it")
        made: list[Made] = []
        batches = [own[start : start + AT_ONCE] for start in range(0, len(own), AT_ONCE)]
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="render") as pool:
            waiting = [pool.submit(_begun, batch, seed, progress) for batch in batches[:1]]
            for following in [*batches[1:], None]:
                begun = waiting.pop().result()
                if following:
                    waiting.append(pool.submit(_begun, following, seed, progress))
                made += self._drawn(begun, progress)
        return made

    def _drawn(self, begun: Sequence[Begun | CannotStage], progress: Progress) -> list[Made]:
        asked = [each for each in begun if isinstance(each, Begun)]
        drawn = iter(redraw(self.editors, [each.asked for each in asked], progress))
        made: list[Made] = []
        for each in begun:
            if isinstance(each, CannotStage):
                made.append(each)
                continue
            picture = next(drawn)
            made.append(picture if isinstance(picture, ModelFailed) else _finished(each, picture, progress))
        return made


@dataclass(frozen=True)
class DiffusibleRoom:
    """A surveyed room; `protected` (H, W) is what of it no model may touch unless furniture stands before it."""

    end: DiffusedStaging
    room: FurnishableRoom
    protected: Mask
    is_segmented: bool

    def furnish(self, seed: int, progress: Progress) -> StagedRoom:
        (made,) = self.end.furnish_together([self], seed, progress)
        if isinstance(made, Exception):
            raise made
        return made


@dataclass(frozen=True)
class Begun:
    """A room as far as it goes without a model: arranged, rendered, and what a model may redraw of it (H, W)."""

    of: DiffusibleRoom
    arrangement: Arrangement
    rendered: StagedPixels
    floor: Mask
    """Bare floor within reach of a piece's contact shadow."""

    @property
    def redrawn(self) -> Mask:
        return (self.rendered.furniture > 0.02) | self.floor

    def cutting(self, editor: ImageEditor) -> Cutting:
        return cut_round(self.redrawn, editor.working_size)

    def asked(self, editor: ImageEditor) -> EditRequest:
        """Return what `editor` is asked for: the room's part round the furniture, with every control there is."""
        cutting, made = self.cutting(editor), self.rendered
        prompt, negative = staging_prompt(self.of.room.room_kit, self.arrangement)
        base, start = cutting.shown(self.of.room.request.base), cutting.shown(made.rgb)
        covered = cutting.shown_map(made.furniture)
        return EditRequest(
            image=base,
            prompt=prompt,
            negative_prompt=negative,
            seed=self.arrangement.seed,
            strength=STRENGTH,
            start=start,
            mask=np.asarray(cutting.shown_map(self.redrawn) > 0.02, np.float32),
            depth=cutting.shown_map(made.depth),
            lines=_lines(base, start, covered),
        )


def _begun(rooms: Sequence[DiffusibleRoom], seed: int, progress: Progress) -> list[Begun | CannotStage]:
    begun: list[Begun | CannotStage] = []
    for each in rooms:
        try:
            arrangement = each.room.arrange(seed)
            begun.append(_begin(each, arrangement, each.room.pixels(arrangement, progress)))
        except CannotStage as refused:
            begun.append(refused)
    return begun


def _begin(room: DiffusibleRoom, arrangement: Arrangement, made: StagedPixels) -> Begun:
    """Work out what may be redrawn: furniture, and the floor round it that no architecture takes up."""
    side = max(made.furniture.shape)
    covered = made.furniture > 0.02
    near = grown(covered, GROWN * side) | (grown(covered, CONTACT * side) & made.edit_mask)
    return Begun(room, arrangement, made, near & ~covered & ~room.protected)


def _lines(base: NDArray[np.uint8], start: NDArray[np.uint8], covered: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return white lines on black (h, w): the photo's outside furniture, the render's on it. Shadows draw none."""
    of_base, of_render = (cv2.Canny(image, EDGES_FROM, EDGES_SURE) for image in (base, start))
    return np.where(grown(covered > 0.02, 2), of_render, of_base).astype(np.uint8)


def _finished(begun: Begun, drawn: Redrawn, progress: Progress) -> StagedRoom | CannotStage:
    """Lay the model's picture in and have it judged; a picture of another view is refused."""
    progress("laying in")
    cutting, editor, made = begun.cutting(drawn.editor), drawn.editor, begun.rendered
    given = drawn.request.image if drawn.request.start is None else drawn.request.start
    alike = ~grown(cutting.shown_map(begun.redrawn) > 0.02, 3)
    try:
        picture, valid, shift = laid_over(drawn.rgb, given, alike)
    except Misregistered as off:
        return CannotStage(f"{editor.entry.id}: {off}")
    rgb, changed = furnished(made.rgb, cutting, picture, valid, made.furniture, begun.floor)
    progress("checking the structure")
    staged = begun.of.room.staged(
        begun.arrangement,
        replace(made, rgb=rgb, edit_mask=made.edit_mask | changed),
        tool=editor.entry.id,
        version=VERSION,
        weights_sha256=editor.weights_sha256,
        drawn_with=_record(begun, drawn, cutting, shift.at(cutting.size), shift.points),
    )
    kept = furniture_kept(picture, given, cutting.shown_map(made.furniture))
    said = f"the model left out or moved furniture (its edges agree by {kept:.2f}, {KEPT_LEAST} is needed)"
    (verdict,) = staged.verdicts
    verdict = weighed(verdict, "furniture_kept", kept, (1 - kept) / (1 - KEPT_LEAST), said)
    return replace(staged, verdicts=(verdict,))


def _controls(editor: ImageEditor) -> list[str]:
    """Return what steered a model: all that is offered, but for what the catalogue says that it doesn't take."""
    offered = ("mask", "depth", "lines")
    takes = getattr(editor.entry, "controls", offered)
    return ["render", *(kind for kind in offered if kind in takes)]


def _record(
    begun: Begun, drawn: Redrawn, cutting: Cutting, off: tuple[float, float, float], points: int
) -> dict[str, Any]:
    window = cutting.window
    segmenter = begun.of.end.segmenter
    return {
        "prompt": drawn.request.prompt,
        "negative_prompt": drawn.request.negative_prompt,
        "strength": STRENGTH,
        "controls": _controls(drawn.editor),
        "drawn_at": list(cutting.size),
        "drawn_window": [window.left, window.top, *window.size],
        "undone": {"px": round(off[0], 2), "zoom": round(off[1], 5), "turn_deg": round(off[2], 3), "points": points},
        "protected_by": ["geometry", *([segmenter.entry.id] if segmenter and begun.of.is_segmented else [])],
        **({"passed_over": list(drawn.passed_over)} if drawn.passed_over else {}),
    }
