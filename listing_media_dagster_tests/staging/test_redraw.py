"""Asking editors in turn."""

from __future__ import annotations

import numpy as np
import pytest

from listing_media_dagster.models.model import EditRequest, ImageEditor, ModelFailed, Rgb
from listing_media_dagster.models.weights_folder import ModelMissing
from listing_media_dagster.staging.redraw import Ask, Redrawn, redraw
from listing_media_dagster_tests.helpers.stand_in_editors import Draw, StandIn, black, out_of_memory, stand_in_entry

PICTURE = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)


def asking(seed: int) -> Ask:
    return lambda editor: EditRequest(PICTURE, "a room", seed)


def editors(*draws: Draw) -> list[ImageEditor]:
    return [StandIn(draw, stand_in_entry(f"editor-{number}")) for number, draw in enumerate(draws)]


def inverted(request: EditRequest) -> Rgb:
    return np.asarray(255 - request.image, np.uint8)


def failing_on(seed: int, failure: Draw) -> Draw:
    return lambda request: failure(request) if request.seed == seed else inverted(request)


def test_pictures_are_handed_over_together() -> None:
    (editor,) = editors(inverted)
    drawn = redraw([editor], [asking(1), asking(2), asking(3)], lambda what: None)
    assert all(isinstance(each, Redrawn) for each in drawn)
    assert [len(batch) for batch in editor.batches] == [3]  # type: ignore[attr-defined]


@pytest.mark.parametrize("failure", [black, out_of_memory])
def test_one_picture_that_fails_takes_no_other_down(failure: Draw) -> None:
    drawn = redraw(editors(failing_on(2, failure), inverted), [asking(1), asking(2), asking(3)], lambda what: None)
    assert [each.editor.entry.id for each in drawn if isinstance(each, Redrawn)] == ["editor-0", "editor-1", "editor-0"]


@pytest.mark.parametrize(
    ("draw", "why"),
    [
        (black, "a black picture"),
        (lambda request: np.full_like(request.image, 90), "a picture of one tone"),
        (lambda request: request.image[:-1], "where .* was asked for"),
        (lambda request: request.image.astype(np.float32), "float32 where"),
    ],
)
def test_what_is_no_picture_of_what_was_asked_for_is_refused(draw: Draw, why: str) -> None:
    (failed,) = redraw(editors(draw), [asking(1)], lambda what: None)
    assert isinstance(failed, ModelFailed)
    with pytest.raises(ModelFailed, match=why):
        raise failed


def test_missing_weights_are_passed_over_with_the_command_that_gets_them() -> None:
    def missing(request: EditRequest) -> Rgb:
        raise ModelMissing("SDXL", "pull it: listing-media models pull sdxl")

    (drawn,) = redraw(editors(missing, inverted), [asking(1)], lambda what: None)
    assert isinstance(drawn, Redrawn) and "listing-media models pull sdxl" in drawn.passed_over[0]


def test_no_editor_at_all_is_said() -> None:
    (failed,) = redraw([], [asking(1)], lambda what: None)
    assert str(failed) == "no image editor is installed"


def test_cancelling_passes_through() -> None:
    class Cancelled(Exception):
        pass

    def say(what: str) -> None:
        raise Cancelled(what)

    with pytest.raises(Cancelled, match="editor-0: step 1 of 1"):
        redraw(editors(inverted), [asking(1)], say)
