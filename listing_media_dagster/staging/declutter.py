"""Taking away what lies about: boxes, bags, toys, never furniture or anything built in. Asked for, and always labelled.

A segmentation says what is what; without one nothing is removed. What stood behind is invented by an image editor,
inside the mask only, and looked at again by gate and segmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.listing import Operation, OperationName, Verdict, fingerprint
from listing_media_dagster.models.model import EditRequest, ImageEditor, ModelFailed, Segmenter
from listing_media_dagster.models.weights_folder import BadWeights, ModelMissing
from listing_media_dagster.staging.altered import AlteredPicture, Architecture, CannotAlter, alter_until_accepted
from listing_media_dagster.staging.arrays import Mask, Rgb
from listing_media_dagster.staging.further_measures import weighed
from listing_media_dagster.staging.redraw import Ask, Redrawn, redraw, refuse_test_models
from listing_media_dagster.staging.registration import Misregistered, laid_over
from listing_media_dagster.staging.retouch import Cutting, cut_round, painted_over
from listing_media_dagster.staging.seeds import Attempt
from listing_media_dagster.staging.structure_gate import KNOWN_LIMITS
from listing_media_dagster.staging.structure_measures import components, grown
from listing_media_dagster.staging.surfaces import CEILING, FLOOR, LOOSE, OPENINGS, RUG, WALL, of_classes

VERSION = "2"
Progress = Callable[[str], None]

SMALLEST = 2e-4  # share of the picture: what is smaller is a speck of the segmentation
MOST = 0.25  # share of the picture that may be invented
RIM, SHADOW = 0.006, 0.015  # of the long side: round a thing, and below it on the floor
APART = 0.04  # of the long side: things nearer than this are taken away together
ROUND = 0.05  # of the long side: where the surroundings of a thing are looked for
INVENTED_MOST = 0.2  # share of the mask that may show what its surroundings don't
ANY = 1.01
# What is removed may have stood before a door, and it takes its shadow along: with its edges, and its shade.
LIMITS = {
    **KNOWN_LIMITS,
    **{"doorway_hidden": ANY, "window_hidden": ANY, "floor_change": ANY, "wall_change": ANY, "edges_lost": 0.5},
}
PLAIN = frozenset({WALL, FLOOR, CEILING, RUG})
PROMPT = "the same room, tidy, without {things}: only the bare floor and the plain wall that were behind, same light"
NEGATIVE = "objects, clutter, {things}, new furniture, people, text, new windows, new doors"


@dataclass(frozen=True)
class Clutter:
    """What lies about in a photo: `things` (H, W), the `mask` (H, W) that is redrawn, and its parts, in words too."""

    things: Mask
    mask: Mask
    parts: tuple[Mask, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Decluttering:
    """Removes what `segmenter` finds lying about, drawn over by the first of `editors` that can.

    Models made for tests are refused unless `allow_test_models` (raises `NotForDelivery`).
    """

    editors: tuple[ImageEditor, ...]
    segmenter: Segmenter | None
    allow_test_models: bool = False

    def __post_init__(self) -> None:
        models = (*self.editors, self.segmenter) if self.segmenter else self.editors
        refuse_test_models(models, allowed=self.allow_test_models)

    @property
    def version(self) -> str:
        """Return what goes into fingerprints: it changes whenever the same photo gives other pixels."""
        models = (*self.editors, self.segmenter) if self.segmenter else self.editors
        return fingerprint(version=VERSION, models=[(model.entry.id, model.weights_sha256) for model in models])

    def declutter(
        self, base: Rgb, first_seed: int, progress: Progress = lambda what: None
    ) -> tuple[AlteredPicture, tuple[Attempt, ...]]:
        """Return the tidy room, which equals `base` outside what was removed, and every attempt.

        Raises `CannotAlter` with the reason, `ModelFailed` where no editor could draw.
        """
        classes = self._classes(base)
        clutter = find_clutter(classes)
        architecture = Architecture.of(base)

        def make(seed: int) -> AlteredPicture:
            rgb, drawn = self._redrawn(base, clutter, seed, progress)
            progress("checking the structure")
            behind = grown(clutter.things, RIM * max(clutter.things.shape))
            verdict = architecture.judge(base, rgb, clutter.mask, behind, LIMITS)
            verdict = _looked_at_again(verdict, classes, self._classes(rgb), clutter)
            mask = cv2.imencode(".png", clutter.mask.astype(np.uint8) * 255)[1].tobytes()
            return AlteredPicture(rgb, (_entry(clutter, drawn, seed),), (verdict,), {"removed.png": mask})

        return alter_until_accepted(make, first_seed)

    def _classes(self, rgb: Rgb) -> NDArray[np.uint8]:
        if self.segmenter is None:
            raise CannotAlter(
                "no segmentation model is installed, and without one nobody can tell clutter from what is built in"
            )
        try:
            (classes,) = self.segmenter.classes([rgb])
        except (ModelMissing, BadWeights) as missing:
            raise CannotAlter(f"what lies about can't be told from what is built in: {missing}") from missing
        return classes

    def _redrawn(self, base: Rgb, clutter: Clutter, seed: int, progress: Progress) -> tuple[Rgb, list[Redrawn]]:
        """Return `base` without its clutter: each part is shown to the model as large as it can be, all at once."""
        asked: list[Ask] = [_ask(base, part, clutter.names, seed + number) for number, part in enumerate(clutter.parts)]
        drawn: list[Redrawn] = []
        for answer in redraw(self.editors, asked, progress):
            if isinstance(answer, ModelFailed):
                raise answer
            drawn.append(answer)
        rgb = base
        for part, answer in zip(clutter.parts, drawn, strict=True):
            rgb = _laid_in(rgb, part, answer)
        return rgb, drawn


def find_clutter(classes: NDArray[np.uint8]) -> Clutter:
    """Return what lies about, by each pixel's ADE20K class (H, W). Raises `CannotAlter` for nothing or too much."""
    side, area = max(classes.shape), classes.size
    things = np.zeros(classes.shape, bool)
    for piece, _ in components(of_classes(classes, LOOSE), SMALLEST * area):
        things |= piece
    if not things.any():
        raise CannotAlter("nothing was found that lies about")
    below = np.zeros_like(things)
    reach = round(SHADOW * side)
    below[reach:] = things[:-reach] if reach else things
    mask = grown(things, RIM * side) | (grown(below, RIM * side) & (classes == FLOOR))
    mask &= ~of_classes(classes, OPENINGS)
    if mask.mean() > MOST:
        raise CannotAlter(f"things lie on {mask.mean():.0%} of the picture: too much of the room would be invented")
    parts = [mask & near for near, _ in components(grown(mask, APART / 2 * side), 1)]
    names = dict.fromkeys(LOOSE[number] for number in np.unique(classes[things]) if number in LOOSE)
    return Clutter(things, mask, tuple(part for part in parts if part.any()), tuple(names))


def _ask(base: Rgb, part: Mask, names: Sequence[str], seed: int) -> Ask:
    things = ", ".join(names)

    def ask(editor: ImageEditor) -> EditRequest:
        cutting = cut_round(part, editor.working_size)
        return EditRequest(
            image=cutting.shown(base),
            prompt=PROMPT.format(things=things),
            negative_prompt=NEGATIVE.format(things=things),
            seed=seed,
            mask=_shown_mask(cutting, part),
        )

    return ask


def _shown_mask(cutting: Cutting, part: Mask) -> NDArray[np.float32]:
    return np.asarray(cutting.shown_map(part) > 0.02, np.float32)


def _laid_in(rgb: Rgb, part: Mask, drawn: Redrawn) -> Rgb:
    cutting = cut_round(part, drawn.editor.working_size)
    alike = ~grown(_shown_mask(cutting, part) > 0, 3)
    try:
        picture, valid, _ = laid_over(drawn.rgb, drawn.request.image, alike)
    except Misregistered as off:
        raise CannotAlter(f"{drawn.editor.entry.id}: {off}") from off
    return painted_over(rgb, cutting, picture, valid, part)


def _looked_at_again(
    verdict: Verdict, before: NDArray[np.uint8], after: NDArray[np.uint8], clutter: Clutter
) -> Verdict:
    """Fail a picture in which something stands that wasn't round about before: clutter again, a door, a plant."""
    around = grown(clutter.mask, ROUND * max(before.shape)) & ~clutter.things
    expected = (set(np.unique(before[around]).tolist()) | PLAIN) - set(LOOSE)
    invented = float((~of_classes(after, expected))[clutter.things].mean())
    said = f"something else was drawn in place of {invented:.0%} of what was removed"
    return weighed(verdict, "invented", invented, invented / INVENTED_MOST, said)


def _entry(clutter: Clutter, drawn: Sequence[Redrawn], seed: int) -> Operation:
    first = drawn[0]
    boxes = [cv2.boundingRect(part.astype(np.uint8)) for part in clutter.parts]
    return Operation(
        name=OperationName.OBJECT_REMOVAL,
        parameters={
            "things": list(clutter.names),
            "share": round(float(clutter.mask.mean()), 4),
            "prompt": first.request.prompt,
            "models": sorted({each.editor.entry.id for each in drawn}),
            **({"passed_over": list(first.passed_over)} if first.passed_over else {}),
        },
        tool=first.editor.entry.id,
        version=VERSION,
        weights_sha256=first.editor.weights_sha256,
        seed=seed,
        generative=True,
        region=tuple((int(x), int(y), int(width), int(height)) for x, y, width, height in boxes),
    )
