"""Taking away what lies about, with a segmenter that knows the room and editors that really draw."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.disclosure.operations import MediaAlteration, media_alterations, needs_disclosure
from listing_media_dagster.listing import OperationName
from listing_media_dagster.models.model import EditRequest, ModelFailed, Rgb
from listing_media_dagster.staging.altered import AlteredPicture, CannotAlter
from listing_media_dagster.staging.declutter import Decluttering, find_clutter
from listing_media_dagster.staging.redraw import NotForDelivery
from listing_media_dagster.staging.surfaces import DOOR, FLOOR, WALL, WINDOW
from listing_media_dagster_tests.helpers.known_rooms import each_room_looked_at_once  # noqa: F401
from listing_media_dagster_tests.helpers.stand_in_editors import (
    KnownClasses,
    StandIn,
    black,
    drifted,
    painting_everything,
    stand_in_entry,
)

BOX, BED = 41, 7
RED = np.array([190, 40, 30], np.uint8)


def cluttered_room() -> tuple[Rgb, NDArray[np.uint8]]:
    """A room 300 by 200 px with a window, a bed, and two boxes on the floor; and the classes of its pixels."""
    rng = np.random.default_rng(0)
    rgb = np.empty((200, 300, 3), np.float32)
    rgb[:] = (205, 200, 190)
    rgb[120:] = (130, 95, 60)
    rgb[120:] += 18 * np.sin(np.arange(300) / 5)[None, :, None]
    classes = np.full((200, 300), WALL, np.uint8)
    classes[120:] = FLOOR
    for (left, top, right, bottom), colour, number in (
        ((40, 20, 90, 90), (235, 245, 255), WINDOW),
        ((180, 90, 280, 140), (90, 100, 140), BED),
        ((60, 110, 100, 150), RED, BOX),
        ((150, 150, 175, 175), RED, BOX),
    ):
        rgb[top:bottom, left:right] = colour
        classes[top:bottom, left:right] = number
    return np.clip(rgb + rng.normal(0, 3, rgb.shape), 0, 255).astype(np.uint8), classes


@dataclass
class Seeing(KnownClasses):
    """Knows the room's classes, and sees a box wherever a picture is still red."""

    room: NDArray[np.uint8] = field(default_factory=lambda: cluttered_room()[1])

    def classes(self, images: list[Rgb]) -> list[NDArray[np.uint8]]:  # type: ignore[override]
        bare = np.where(self.room == BOX, np.where(np.arange(200)[:, None] < 120, WALL, FLOOR), self.room)
        still = [np.abs(image.astype(int) - RED).max(axis=2) < 40 for image in images]
        return [np.where(red, BOX, bare).astype(np.uint8) for red in still]


def filled_in(request: EditRequest) -> Rgb:
    assert request.mask is not None
    holes = (request.mask > 0.5).astype(np.uint8) * 255
    return np.asarray(cv2.inpaint(request.image, holes, 3, cv2.INPAINT_TELEA), np.uint8)


def decluttered(*editors: StandIn) -> AlteredPicture:
    return Decluttering(editors, Seeing([])).declutter(cluttered_room()[0], 0)[0]


def test_boxes_go_and_the_rest_of_the_photo_stays_bit_for_bit() -> None:
    base, classes = cluttered_room()
    tidy = decluttered(StandIn(filled_in))
    mask = cv2.imdecode(np.frombuffer(tidy.attachments["removed.png"], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    assert np.array_equal(tidy.rgb[mask == 0], base[mask == 0])
    still_red = np.abs(tidy.rgb.astype(int) - RED).max(axis=2) < 40
    assert still_red[classes == BOX].mean() < 0.02 and tidy.rejection is None
    assert mask[classes == WINDOW].max() == 0 and mask[classes == BED].mean() / 255 < 0.02


def test_each_thing_is_shown_by_itself_and_all_in_one_batch() -> None:
    editor = StandIn(filled_in)
    decluttered(editor)
    (batch,) = editor.batches
    assert len(batch) == 2 and all(request.image.shape[1] < 300 for request in batch)
    assert "without box" in batch[0].prompt and batch[0].seed != batch[1].seed


def test_the_ledger_says_what_was_removed_where_and_by_which_model() -> None:
    (operation,) = decluttered(StandIn(filled_in)).operations
    assert (operation.name, operation.generative) == (OperationName.OBJECT_REMOVAL, True)
    assert operation.parameters["things"] == ["box"] and operation.weights_sha256 == "a" * 64
    assert operation.region is not None and len(operation.region) == 2
    assert needs_disclosure([operation]) and media_alterations([operation]) == (MediaAlteration.DECLUTTERED,)


def test_without_a_segmenter_nothing_is_removed() -> None:
    with pytest.raises(CannotAlter, match="no segmentation model is installed"):
        Decluttering((StandIn(filled_in),), None).declutter(cluttered_room()[0], 0)


def test_a_model_that_leaves_the_boxes_is_rejected_after_three_further_seeds() -> None:
    idle = StandIn(lambda request: request.image)
    picture, attempts = Decluttering((idle,), Seeing([])).declutter(cluttered_room()[0], 5)
    assert [attempt.seed for attempt in attempts] == [5, 6, 7, 8]
    assert picture.rejection is not None and "something else was drawn in place of" in picture.rejection


def test_a_door_invented_where_a_box_stood_is_rejected() -> None:
    class SeeingDoors(Seeing):
        def classes(self, images: list[Rgb]) -> list[NDArray[np.uint8]]:  # type: ignore[override]
            seen = super().classes(images)
            green = [(image[..., 1] > 150) & (image[..., 0] < 90) for image in images]
            return [np.where(door, DOOR, known).astype(np.uint8) for door, known in zip(green, seen, strict=True)]

    def with_door(request: EditRequest) -> Rgb:
        picture = filled_in(request)
        picture[np.asarray(request.mask) > 0.5] = (40, 200, 60)
        return picture

    picture, _ = Decluttering((StandIn(with_door),), SeeingDoors([])).declutter(cluttered_room()[0], 0)
    assert picture.rejection is not None and picture.verdicts[0].evidence["invented"] > 0.8


def test_an_editor_that_heeds_no_mask_changes_nothing_outside_it() -> None:
    def heedless(request: EditRequest) -> Rgb:
        return np.asarray(0.75 * filled_in(request) + np.array([0, 0, 60]), np.uint8)

    base, classes = cluttered_room()
    picture = decluttered(StandIn(heedless))
    window = classes == WINDOW
    assert np.array_equal(picture.rgb[window], base[window]) and picture.rejection is None


def test_a_picture_of_something_else_is_refused() -> None:
    with pytest.raises(CannotAlter, match="nothing by which it could be laid over the photo"):
        decluttered(StandIn(painting_everything((0, 0, 255))))


def test_a_drifted_view_is_put_back() -> None:
    still = decluttered(StandIn(filled_in)).rgb.astype(int)
    moved = decluttered(StandIn(drifted(filled_in, (2.0, -1.0), 1.01, 1.05)))
    assert moved.rejection is None and np.abs(moved.rgb - still).mean() < 1


def test_black_pictures_fall_to_the_next_editor_and_to_a_reason_at_last() -> None:
    (operation,) = decluttered(StandIn(black, stand_in_entry("first")), StandIn(filled_in)).operations
    assert operation.parameters["passed_over"] == ["first: gave a black picture"]
    with pytest.raises(ModelFailed, match="gave a black picture"):
        decluttered(StandIn(black))


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        (np.zeros((50, 50), np.uint8), "nothing was found that lies about"),
        (np.full((50, 50), BOX, np.uint8), "100% of the picture: too much"),
    ],
)
def test_nothing_and_too_much_are_refused(classes: NDArray[np.uint8], reason: str) -> None:
    with pytest.raises(CannotAlter, match=reason):
        find_clutter(classes)


def test_a_speck_of_the_segmentation_is_no_thing() -> None:
    classes = cluttered_room()[1]
    classes[5:8, 200:203] = BOX
    assert not find_clutter(classes).mask[6, 201]


def test_models_made_for_tests_are_refused() -> None:
    with pytest.raises(NotForDelivery):
        Decluttering((StandIn(filled_in, stand_in_entry("tiny", test_only=True)),), Seeing([]))
