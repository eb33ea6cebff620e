"""Photos reworked tile by tile, and enlarged."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.disclosure.operations import MediaAlteration, media_alterations, needs_disclosure
from listing_media_dagster.listing import OperationName
from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.model import EditRequest, ModelFailed, Rgb
from listing_media_dagster.staging import polish
from listing_media_dagster.staging.altered import CannotAlter
from listing_media_dagster.staging.polish import Enlarging, Polishing, tile_seed, tiles_of
from listing_media_dagster_tests.helpers.known_rooms import each_room_looked_at_once  # noqa: F401
from listing_media_dagster_tests.helpers.stand_in_editors import StandIn, black, drifted, stand_in_entry

ROOM = Path(__file__).parent / "rendered_rooms" / "sunless.jpg"


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polish, "TILE", 192)
    monkeypatch.setattr(polish, "OVERLAP", 40)


@pytest.fixture(scope="module")
def photo() -> Rgb:
    picture = cv2.imread(str(ROOM), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


def finer(request: EditRequest) -> Rgb:
    """Sharpen, add fine texture by the seed, and be off in tone as each tile of a model is."""
    given, rng = request.image.astype(np.float32), np.random.default_rng(request.seed)
    sharp = given + 0.25 * (given - cv2.GaussianBlur(given, (0, 0), 1.5)) + rng.normal(0, 2.5, given.shape)
    return np.asarray(np.clip(sharp * rng.uniform(0.93, 1.07) + rng.uniform(-8, 8, 3), 0, 255), np.uint8)


def with_a_window(request: EditRequest) -> Rgb:
    picture = request.image.copy()
    height, width = picture.shape[:2]
    picture[height // 3 : height // 2, width // 4 : width // 2] = (225, 240, 255)
    return picture


@pytest.mark.parametrize("size", [(300, 200), (1024, 1024), (1025, 700), (4000, 3000)])
def test_tiles_cover_the_picture_overlap_and_are_of_one_size(size: tuple[int, int]) -> None:
    tiles = tiles_of(size)
    covered = np.zeros(size[::-1], np.uint8)
    for tile in tiles:
        covered[tile.rows_columns] += 1
    assert covered.min() == 1 and len({tile.size for tile in tiles}) == 1
    assert max(tiles[0].size) <= 1024
    starts = sorted({tile.left for tile in tiles})
    assert all(after - before <= 1024 - polish.OVERLAP for before, after in pairwise(starts))


@pytest.mark.usefixtures("small_tiles")
def test_no_seam_shows_where_tiles_of_different_tone_meet(photo: Rgb) -> None:
    editor = StandIn(finer)
    made, _ = Polishing((editor,)).polish(photo, "a living room", 0)
    assert len(editor.batches) == 1 and len(editor.batches[0]) == 6
    assert made.rejection is None
    # What a seam would be: a step of the slow change along the tiles' borders, which the photo doesn't have.
    change = cv2.GaussianBlur(made.rgb.astype(np.float32) - photo, (0, 0), 4).mean(axis=2)
    across = np.abs(np.diff(change, axis=1))
    borders = sorted({tile.left for tile in tiles_of(photo.shape[1::-1])} - {0})
    borders += [start + polish.TILE for start in (0, borders[0])]
    at_borders = np.median([across[:, x - 2 : x + 2].mean() for x in borders])
    assert at_borders < 1.5 * np.median(across.mean(axis=0)) + 0.05
    assert np.abs(change).mean() < 2.5  # tone is the photo's: tiles were up to 15 levels off


@pytest.mark.usefixtures("small_tiles")
def test_tiles_get_seeds_of_their_own_and_give_the_same_photo_again(photo: Rgb) -> None:
    first, second = StandIn(finer), StandIn(finer)
    made, again = (Polishing((editor,)).polish(photo, "a kitchen", 3)[0] for editor in (first, second))
    seeds = [request.seed for request in first.batches[0]]
    assert seeds == [tile_seed(3, number) for number in range(6)] and len(set(seeds)) == 6
    assert np.array_equal(made.rgb, again.rgb)
    assert all(request.strength == 0.2 and "a kitchen" in request.prompt for request in first.batches[0])


def test_a_window_that_the_model_invents_is_rejected_after_three_further_seeds(photo: Rgb) -> None:
    made, attempts = Polishing((StandIn(with_a_window),)).polish(photo, "a living room", 0)
    assert made.rejection is not None and len(attempts) == 4


def test_a_view_that_drifted_is_put_back_and_one_that_is_another_is_refused(photo: Rgb) -> None:
    made, _ = Polishing((StandIn(drifted(finer, (3.0, -2.0), 1.008)),)).polish(photo, "a living room", 0)
    assert made.rejection is None
    with pytest.raises(CannotAlter, match="the model moved the view"):
        Polishing((StandIn(drifted(finer, (0.0, 0.0), 1.12)),)).polish(photo, "a living room", 0)


@pytest.mark.usefixtures("small_tiles")
def test_all_tiles_come_from_one_editor_even_if_another_failed_on_one_of_them_only(photo: Rgb) -> None:
    bad = tile_seed(0, 4)
    first = StandIn(lambda asked: black(asked) if asked.seed == bad else finer(asked), stand_in_entry("first"))
    second = StandIn(finer, stand_in_entry("second"))
    (operation,) = Polishing((first, second)).polish(photo, "a living room", 0)[0].operations
    assert operation.tool == "second" and len(second.batches[0]) == 6
    assert operation.parameters["passed_over"] == ["first: gave a black picture"]
    with pytest.raises(ModelFailed, match="first: gave a black picture"):
        Polishing((first,)).polish(photo, "a living room", 0)


def test_the_ledger_says_reworked_by_a_generative_model(photo: Rgb) -> None:
    (operation,) = Polishing((StandIn(finer),)).polish(photo, "a living room", 0)[0].operations
    assert (operation.name, operation.generative) == (OperationName.DIFFUSION_ENHANCEMENT, True)
    assert operation.weights_sha256 == "a" * 64 and operation.region is None
    assert needs_disclosure([operation]) and media_alterations([operation]) == (MediaAlteration.OTHER,)


@dataclass
class Doubling:
    """An upscaler that really enlarges; `spoil` is done to its picture."""

    spoil: object = None
    factor: int = 2
    entry: CatalogueEntry = field(default_factory=lambda: stand_in_entry("doubling"))
    weights_sha256: str = "c" * 64

    def load(self) -> None: ...

    def unload(self) -> None: ...

    def enlarge(self, images: list[Rgb]) -> list[NDArray[np.uint8]]:
        big = [cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for image in images]
        return [np.asarray(self.spoil(each) if self.spoil else each, np.uint8) for each in big]  # type: ignore[operator]


def test_an_enlarged_photo_shows_the_same_room_and_is_labelled(photo: Rgb) -> None:
    made = Enlarging((Doubling(),)).enlarge(photo)  # type: ignore[arg-type]
    assert made.rgb.shape == (photo.shape[0] * 2, photo.shape[1] * 2, 3) and made.rejection is None
    (operation,) = made.operations
    assert operation.name == OperationName.DIFFUSION_UPSCALE and operation.parameters["factor"] == 2
    assert needs_disclosure([operation])


def test_the_ledger_says_which_upscaler_was_passed_over_and_why(photo: Rgb) -> None:
    def black_everywhere(big: Rgb) -> Rgb:
        raise ModelFailed("gave a black picture")

    first, second = Doubling(black_everywhere, entry=stand_in_entry("first")), Doubling()
    (operation,) = Enlarging((first, second)).enlarge(photo).operations  # type: ignore[arg-type]
    assert operation.tool == "doubling"
    assert operation.parameters["passed_over"] == ["first: gave a black picture"]


def test_an_enlarged_photo_of_something_else_is_rejected(photo: Rgb) -> None:
    moved = Enlarging((Doubling(lambda big: np.roll(big, 9, axis=1)),)).enlarge(photo)  # type: ignore[arg-type]
    assert moved.rejection is not None


def test_a_photo_too_large_to_enlarge_is_refused_with_the_reason(photo: Rgb) -> None:
    def too_large(big: Rgb) -> Rgb:
        raise ValueError("leave a photo of that size as it is")

    with pytest.raises(CannotAlter, match="leave a photo of that size"):
        Enlarging((Doubling(too_large),)).enlarge(photo)  # type: ignore[arg-type]
    with pytest.raises(ModelFailed, match="gave a picture"):
        Enlarging((Doubling(lambda big: big[:-1]),)).enlarge(photo)  # type: ignore[arg-type]
