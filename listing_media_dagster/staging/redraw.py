"""Asking image editors in turn: what one can't draw, the next one is asked for; none of them is taken at its word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from listing_media_dagster.models.model import EditRequest, ImageEditor, Model, ModelFailed, Rgb
from listing_media_dagster.models.weights_folder import BadWeights, ModelMissing

Ask = Callable[[ImageEditor], EditRequest]
"""What an editor is asked for one picture: editors work at different sizes."""
Say = Callable[[str], None]

LIGHTEST_BLACK = 6.0  # levels: the mean of a picture that counts as black
FLATTEST, SHOWN = 2.0, 6.0  # standard deviation of levels: of a picture of one tone, and of one that shows something


@dataclass(frozen=True)
class Redrawn:
    """A picture at the size it was asked for, who drew it, and why others before didn't."""

    rgb: Rgb
    request: EditRequest
    editor: ImageEditor
    passed_over: tuple[str, ...] = ()


class NotForDelivery(ValueError):
    """A model made for tests where results matter."""


def refuse_test_models(models: Sequence[Model], *, allowed: bool) -> None:
    """Raise `NotForDelivery` naming the first model whose random pictures must reach no delivery."""
    for model in models:
        if model.entry.test_only and not allowed:
            raise NotForDelivery(f"{model.entry.id} was made for tests: it draws noise; choose another model")


def redraw(editors: Sequence[ImageEditor], asked: Sequence[Ask], say: Say) -> list[Redrawn | ModelFailed]:
    """Return each picture as the first editor that can draws it, or why none could.

    Pictures are handed over together. Where that fails they are asked for one by one, so that none takes others down.
    """
    drawn: dict[int, Redrawn] = {}
    reasons: dict[int, list[str]] = {number: [] for number in range(len(asked))}
    for editor in editors:
        waiting = [number for number in reasons if number not in drawn]
        if not waiting:
            break
        try:
            requests = [asked[number](editor) for number in waiting]
            answers = _edited(editor, requests, say)
        except (ModelMissing, BadWeights) as unusable:
            answers = [ModelFailed(str(unusable))] * len(waiting)
            requests = []
        for place, (number, answer) in enumerate(zip(waiting, answers, strict=True)):
            if isinstance(answer, ModelFailed):
                reasons[number].append(f"{editor.entry.id}: {answer}")
            else:
                drawn[number] = Redrawn(answer, requests[place], editor, tuple(reasons[number]))
    return [drawn.get(number) or ModelFailed(_why(reasons[number])) for number in reasons]


def _why(reasons: Sequence[str]) -> str:
    return "; ".join(reasons) or "no image editor is installed"


def _edited(editor: ImageEditor, requests: Sequence[EditRequest], say: Say) -> list[Rgb | ModelFailed]:
    def progress(step: int, steps: int) -> None:
        say(f"{editor.entry.id}: step {step} of {steps}")

    try:
        pictures = editor.edit(requests, progress)
        if len(pictures) != len(requests):
            raise ModelFailed(f"gave {len(pictures)} pictures for {len(requests)}")
    except ModelFailed as failed:
        if len(requests) == 1:
            return [failed]
        return [answer for request in requests for answer in _edited(editor, [request], say)]
    return [_checked(picture, request) for picture, request in zip(pictures, requests, strict=True)]


def _checked(picture: Rgb, request: EditRequest) -> Rgb | ModelFailed:
    """Return a picture that shows something, at the size it was asked for."""
    wanted = request.image.shape
    if picture.dtype != np.uint8 or picture.shape != wanted:
        return ModelFailed(f"gave a picture {picture.shape} {picture.dtype} where {wanted} uint8 was asked for")
    given = request.image if request.start is None else request.start
    if float(given.std()) > SHOWN and float(picture.mean()) < LIGHTEST_BLACK:
        return ModelFailed("gave a black picture")
    if float(given.std()) > SHOWN and float(picture.std()) < FLATTEST:
        return ModelFailed("gave a picture of one tone")
    return picture
