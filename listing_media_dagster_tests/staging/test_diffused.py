"""Staging by diffusion, with editors that really draw: whatever they do, only furniture changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.disclosure.operations import DigitalSourceType, digital_source_type, needs_disclosure
from listing_media_dagster.listing import OperationName, Room, RoomType
from listing_media_dagster.models.model import EditRequest, ImageEditor, ModelFailed
from listing_media_dagster.staging.arrangement import Arrangement, Finish, PlacedPiece
from listing_media_dagster.staging.back_ends import CannotStage, StagedRoom, StagingRequest
from listing_media_dagster.staging.composite import StagedPixels
from listing_media_dagster.staging.diffused import DiffusedStaging, DiffusibleRoom
from listing_media_dagster.staging.furniture.designs import library
from listing_media_dagster.staging.kits import Furnishing, load_kits
from listing_media_dagster.staging.prompts import STAYS, staging_prompt
from listing_media_dagster.staging.redraw import NotForDelivery
from listing_media_dagster.staging.rendered import FurnishableRoom, RenderedStaging
from listing_media_dagster.staging.structure_gate import judge_structure
from listing_media_dagster.staging.structure_measures import filled
from listing_media_dagster.staging.surfaces import WALL, WINDOW, protected_regions
from listing_media_dagster_tests.helpers.drawn_furniture import BoxedRoom
from listing_media_dagster_tests.helpers.stand_in_editors import (
    KnownClasses,
    StandIn,
    black,
    drifted,
    out_of_memory,
    painting_everything,
    recoloured,
    stand_in_entry,
)

ROOM = Path(__file__).parent / "rendered_rooms" / "sunless.jpg"
RENDERED = RenderedStaging(load_kits(), library())


def silent(what: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def room() -> BoxedRoom:
    base = cv2.imread(str(ROOM), cv2.IMREAD_COLOR_RGB)
    assert base is not None
    small = np.asarray(cv2.resize(base, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA), np.uint8)
    found = RENDERED.survey(StagingRequest("sunless", small, Room(), "japandi", pieces_seed=5))
    return BoxedRoom(found.request, found.geometry, found.kit, found.designs)


@pytest.fixture(scope="module")
def render(room: BoxedRoom) -> StagedPixels:
    return room.pixels(room.arrange(0), silent)


def diffusible(room: FurnishableRoom, *editors: ImageEditor, **options: object) -> DiffusibleRoom:
    end = DiffusedStaging(RENDERED, editors, **options)  # type: ignore[arg-type]
    return DiffusibleRoom(end, room, protected_regions(room.geometry), False)


def staged_by(room: FurnishableRoom, *draws: Callable[[EditRequest], NDArray[np.uint8]], seed: int = 0) -> StagedRoom:
    editors = [StandIn(draw, stand_in_entry(f"editor-{number}")) for number, draw in enumerate(draws)]
    return diffusible(room, *editors).furnish(seed, silent)


def mask_of(staged: StagedRoom) -> NDArray[np.bool_]:
    mask = cv2.imdecode(np.frombuffer(staged.attachments["mask.png"], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    return np.asarray(mask > 0)


def test_the_model_changes_furniture_and_the_photo_stays_bit_for_bit_outside_the_mask(
    room: BoxedRoom, render: StagedPixels
) -> None:
    staged = staged_by(room, recoloured)
    alpha, base = render.furniture, room.request.base
    outside = ~mask_of(staged)
    assert np.array_equal(staged.rgb[outside], base[outside]) and outside.mean() > 0.4
    warmer = staged.rgb.astype(int) - render.rgb
    assert warmer[alpha > 0.99][:, 0].mean() > 6 and warmer[alpha > 0.99][:, 2].mean() < -6
    assert staged.rejection is None


def test_walls_keep_the_render_whatever_an_editor_paints_there(room: BoxedRoom, render: StagedPixels) -> None:
    staged = staged_by(room, painting_everything((255, 0, 0)))
    wall = ~room.geometry.floor & (render.furniture == 0)
    assert np.array_equal(staged.rgb[wall], render.rgb[wall])


def test_a_window_survives_an_editor_that_paints_everything(room: BoxedRoom, render: StagedPixels) -> None:
    """On the floor, where only a segmentation knows of it, and where the geometry does."""
    base = room.request.base
    box = np.array([(350, 308), (413, 308), (413, 336), (350, 336)], float)  # a roof window that lies on the floor
    segmented = filled(box, base.shape)
    classes = np.where(segmented, WINDOW, WALL).astype(np.uint8)
    end = DiffusedStaging(RENDERED, (StandIn(painting_everything((0, 0, 0))),), KnownClasses([classes]))
    protected = protected_regions(room.geometry, classes)
    staged = DiffusibleRoom(end, room, protected, True).furnish(0, silent)
    bare = render.furniture == 0
    known = np.zeros_like(bare)
    for wall in room.geometry.walls:
        for opening in wall.openings:
            known |= filled(opening.outline, bare.shape)
    assert known.any()
    for window in (segmented & bare, known & bare):
        assert np.array_equal(staged.rgb[window], render.rgb[window])


def test_a_view_that_the_model_moved_and_zoomed_is_put_back(room: BoxedRoom, render: StagedPixels) -> None:
    still = staged_by(room, recoloured)
    moved = staged_by(room, drifted(recoloured, (4.0, -3.0), 1.015, tone=1.06))
    undone = moved.operations[0].parameters["undone"]
    assert undone["px"] == pytest.approx(5.0, abs=0.4) and undone["zoom"] == pytest.approx(1.015, abs=0.002)
    inside = render.furniture > 0.99
    off = np.abs(moved.rgb.astype(int) - still.rgb)[inside]
    naive = drifted(lambda request: request.image, (4.0, -3.0), 1.015)(EditRequest(still.rgb, "", 0))
    assert np.median(off) <= 4 and off.mean() < 0.5 * np.abs(naive.astype(int) - still.rgb)[inside].mean()
    assert moved.rejection is None


def test_a_view_that_the_model_moved_far_is_refused(room: BoxedRoom, render: StagedPixels) -> None:
    with pytest.raises(CannotStage, match="editor-0: the model moved the view"):
        staged_by(room, drifted(recoloured, (0.0, 0.0), 1.12))


@pytest.mark.parametrize(("fails", "why"), [(black, "gave a black picture"), (out_of_memory, "ran out of GPU memory")])
def test_what_one_editor_cannot_draw_the_next_one_does_and_the_ledger_says_so(
    room: BoxedRoom, fails: Callable[[EditRequest], NDArray[np.uint8]], why: str
) -> None:
    (operation,) = staged_by(room, fails, recoloured).operations
    assert operation.tool == "editor-1"
    (passed_over,) = operation.parameters["passed_over"]
    assert passed_over.startswith(f"editor-0: {why}")


def test_where_no_editor_can_draw_the_model_failed_and_all_reasons_are_named(
    room: BoxedRoom, render: StagedPixels
) -> None:
    with pytest.raises(ModelFailed, match="editor-0: gave a black picture; editor-1: ran out of GPU memory"):
        staged_by(room, black, out_of_memory)


def test_a_model_that_leaves_the_furniture_out_is_rejected(room: BoxedRoom) -> None:
    """Its empty room would be cut out in the shape of a sofa."""
    staged = staged_by(room, lambda request: request.image)
    assert staged.rejection is not None and "left out or moved furniture" in staged.rejection
    kept = staged_by(room, recoloured).verdicts[0]
    assert kept.evidence["furniture_kept"] > 0.9 and kept.outcome == "passed"


def test_rooms_drawn_together_equal_each_drawn_alone(room: BoxedRoom, render: StagedPixels) -> None:
    editor = StandIn(recoloured)
    rooms = [diffusible(room, editor), diffusible(room, editor)]
    rooms[1] = replace(rooms[1], protected=np.ones_like(rooms[1].protected))
    together = rooms[0].end.furnish_together(rooms, 3, silent)
    assert [len(batch) for batch in editor.batches] == [2]
    for alone, made in zip(rooms, together, strict=True):
        assert isinstance(made, StagedRoom)
        assert np.array_equal(alone.furnish(3, silent).rgb, made.rgb)


def test_a_seed_gives_the_same_picture_again_and_another_seed_another(room: BoxedRoom, render: StagedPixels) -> None:
    first, again, other = (staged_by(room, recoloured, seed=seed).rgb for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_the_editor_gets_the_render_its_depth_its_lines_and_the_kits_words(
    room: BoxedRoom, render: StagedPixels
) -> None:
    editor = StandIn(recoloured)
    diffusible(room, editor).furnish(0, silent)
    ((asked,),) = editor.batches
    height, width = asked.image.shape[:2]
    assert asked.start is not None and asked.mask is not None and asked.depth is not None and asked.lines is not None
    assert {each.shape[:2] for each in (asked.start, asked.mask, asked.depth, asked.lines)} == {(height, width)}
    assert set(np.unique(asked.mask)) == {0.0, 1.0} and 0.05 < asked.mask.mean() < 0.9
    assert not np.array_equal(asked.start, asked.image)
    assert 0.3 < asked.depth.min() < asked.depth.max() < 20
    assert "sofa" in asked.prompt.split(",")[1] and "japandi living room" in asked.prompt
    assert "new windows" in asked.negative_prompt


def furnished_with(room_type: RoomType, *names: str) -> Arrangement:
    """Return pieces as layouts name them, the largest first, each of a surface that the prompt tells of."""
    linen = {"body": Finish(surface="linen", colour="#ffffff")}
    pieces = [
        PlacedPiece(name=name, design="any", size=(3 - 0.2 * rank, 1, 1), position=(0, 0, 0), finishes=linen)
        for rank, name in enumerate(names)
    ]
    return Arrangement(kit="any", room_type=room_type, seed=0, pieces=tuple(pieces))


FULL_ROOMS = {
    Furnishing.LIVING_ROOM: ("rug", "sofa", "armchair 1", "armchair 2", "coffee table", "media unit", "floor lamp"),
    Furnishing.BEDROOM: ("rug", "bed", "left nightstand", "right nightstand", "dresser", "bench", "floor lamp"),
    Furnishing.DINING_ROOM: ("rug", "dining table", "chair 1", "chair 2", "sideboard", "floor lamp", "plant"),
    Furnishing.HOME_OFFICE: ("rug", "desk", "office chair", "bookcase", "armchair", "floor lamp"),
    Furnishing.CHILDRENS_ROOM: ("rug", "bed", "toy shelf", "teepee", "left nightstand", "dresser"),
}


@pytest.mark.parametrize("kit", sorted(load_kits()))
def test_pieces_and_a_kits_words_fit_into_what_the_smaller_encoders_read(kit: str) -> None:
    """SDXL and SD 1.5 read 77 tokens, both ends included; only the reminder of what stays may be cut."""
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer()
    for furnishing, words in RENDERED.kits[kit].rooms.items():
        prompt, negative = staging_prompt(words, furnished_with(RoomType.UNKNOWN, *FULL_ROOMS[furnishing]))
        assert prompt.endswith(f", {STAYS}")
        for text in (prompt.removesuffix(f", {STAYS}"), negative):
            assert len(tokenizer.encode(text)) + 2 <= 77, text


def test_pieces_are_named_by_what_they_are_and_counted() -> None:
    names = ("bed", "left nightstand", "right nightstand", "art over bed", "chair 1", "chair 2", "lamp on nightstand")
    words = RENDERED.kits["modern"].rooms[Furnishing.BEDROOM]
    prompt, _ = staging_prompt(words, furnished_with(RoomType.BEDROOM, *names))
    assert prompt.startswith("linen bed, 2 linen nightstands, art, 2 linen chairs, modern bedroom")


def test_only_the_part_round_the_furniture_is_shown_to_the_model(room: BoxedRoom, render: StagedPixels) -> None:
    editor = StandIn(recoloured, megapixels=0.03)
    staged = diffusible(room, editor).furnish(0, silent)
    x, _, width, height = staged.operations[0].parameters["drawn_window"]
    base = room.request.base
    assert width * height < 0.95 * base.shape[0] * base.shape[1]
    columns = np.flatnonzero((render.furniture > 0.02).any(axis=0))
    assert x <= columns[0] and columns[-1] < x + width


def test_a_small_working_size_costs_no_sharpness_at_outlines(room: BoxedRoom, render: StagedPixels) -> None:
    staged = diffusible(room, StandIn(recoloured, megapixels=0.03)).furnish(0, silent)
    alpha = render.furniture
    rim = (alpha > 0.02) & (alpha < 0.98)

    def sharpness(rgb: NDArray[np.uint8]) -> float:
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F))[rim].mean())

    assert sharpness(staged.rgb) > 0.85 * sharpness(render.rgb)


def test_the_ledger_says_generative_by_which_weights_and_how(room: BoxedRoom, render: StagedPixels) -> None:
    (operation,) = staged_by(room, recoloured).operations
    assert (operation.name, operation.generative) == (OperationName.VIRTUAL_STAGING, True)
    assert (operation.tool, operation.weights_sha256, operation.seed) == ("editor-0", "a" * 64, 0)
    assert operation.parameters["kit"] == "japandi" and operation.region is not None
    assert operation.parameters["protected_by"] == ["geometry"]
    assert needs_disclosure([operation]) and digital_source_type([operation]) is DigitalSourceType.COMPOSITE_TRAINED


def test_models_made_for_tests_are_refused_unless_a_test_asks_for_them() -> None:
    tiny = StandIn(recoloured, stand_in_entry("tiny", test_only=True))
    with pytest.raises(NotForDelivery, match="tiny was made for tests"):
        DiffusedStaging(RENDERED, (tiny,))
    DiffusedStaging(RENDERED, (tiny,), allow_test_models=True)


def test_other_weights_are_another_version() -> None:
    one, other = (
        DiffusedStaging(RENDERED, (StandIn(recoloured, weights_sha256=digit * 64),)).version_for("japandi")
        for digit in "ab"
    )
    assert one != other


def test_the_gate_that_judges_it_would_reject_what_the_model_drew_itself(room: BoxedRoom, render: StagedPixels) -> None:
    """The check on this file: pasted in without care the same picture fails."""
    made, base = render, room.request.base
    pasted = drifted(recoloured, (4.0, -3.0), 1.015)(EditRequest(made.rgb, "", 0))
    everywhere = np.ones(base.shape[:2], bool)
    assert judge_structure(base, pasted, everywhere, made.furniture).outcome == "failed"
