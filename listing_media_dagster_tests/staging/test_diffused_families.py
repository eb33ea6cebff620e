"""Every diffusion family of the catalogue through the whole stage, with tiny random weights of the real classes.

What they draw is noise, so nothing here is about looks: it is about masks, sizes, seeds, failures and the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from listing_media_dagster.listing import Room
from listing_media_dagster.models.catalogue import catalogue
from listing_media_dagster.models.diffusion import DiffusionEditor, editor_for
from listing_media_dagster.models.entry import CatalogueEntry, Stage
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.model import EditRequest, ImageEditor, ModelFailed, Rgb
from listing_media_dagster.models.segment import AdeSegmenter
from listing_media_dagster.models.weights_folder import inspect_folder
from listing_media_dagster.staging import polish
from listing_media_dagster.staging.altered import CannotAlter
from listing_media_dagster.staging.back_ends import StagedRoom, StagingRequest
from listing_media_dagster.staging.declutter import Decluttering
from listing_media_dagster.staging.diffused import DiffusedStaging, DiffusibleRoom
from listing_media_dagster.staging.furniture.designs import library
from listing_media_dagster.staging.kits import load_kits
from listing_media_dagster.staging.polish import Polishing
from listing_media_dagster.staging.redraw import NotForDelivery
from listing_media_dagster.staging.rendered import RenderedStaging
from listing_media_dagster.staging.seeds import furnish_until_accepted
from listing_media_dagster.staging.surfaces import FLOOR, WALL, protected_regions
from listing_media_dagster_tests.helpers.drawn_furniture import BoxedRoom
from listing_media_dagster_tests.helpers.known_rooms import each_room_looked_at_once  # noqa: F401
from listing_media_dagster_tests.helpers.stand_in_editors import KnownClasses
from listing_media_dagster_tests.helpers.tiny_pipelines import (  # noqa: F401
    SaveTiny,
    one_torch_thread,
    small_qwen,
    tiny,
)
from listing_media_dagster_tests.helpers.tiny_vision import save_tiny_upernet, tiny_entry
from listing_media_dagster_tests.staging.test_declutter import RED, Seeing, cluttered_room, filled_in

pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_torch_thread", "small_qwen")

ROOM = Path(__file__).parent / "rendered_rooms" / "sunless.jpg"
RENDERED = RenderedStaging(load_kits(), library())
CPU = Hardware(device="cpu", name="test CPU", memory_gb=16)
Load = Callable[[str], DiffusionEditor]


STEERED_BY = {
    "sdxl-union": ["render", "mask", "depth", "lines"],
    "sd15-inpaint": ["render", "mask", "depth", "lines"],
    "flux2-klein-4b": ["render", "mask"],
    "qwen-image-edit": ["render"],
}


def models_for(stage: Stage) -> list[str]:
    return [entry.id for entry in catalogue().models if stage in entry.stages]


def silent(what: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class KeepingTheRoom:
    """An editor that draws with tiny weights, keeps to what it starts from, and to the room outside the mask.

    So do whole weights, roughly; noise alone would be rejected for one layout and pass for another.
    """

    drawing: DiffusionEditor
    share: float = 0.5
    start: Callable[[EditRequest], Rgb] = lambda request: request.image if request.start is None else request.start

    @property
    def entry(self) -> CatalogueEntry:
        return self.drawing.entry

    @property
    def weights_sha256(self) -> str:
        return self.drawing.weights_sha256

    def load(self) -> None: ...

    def unload(self) -> None: ...

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return self.drawing.working_size(size)

    def edit(self, requests: Sequence[EditRequest], progress: Callable[[int, int], None] | None = None) -> list[Rgb]:
        drawn = self.drawing.edit(requests, progress)
        return [self._helped(rgb, request) for rgb, request in zip(drawn, requests, strict=True)]

    def _helped(self, rgb: Rgb, request: EditRequest) -> Rgb:
        given = self.start(request)
        allowed = np.ones(given.shape[:2]) if request.mask is None else np.asarray(request.mask) > 0.5
        mixed = np.rint((1 - self.share) * given + self.share * rgb.astype(float))
        return np.where(allowed[..., None], mixed, given).astype(np.uint8)


@pytest.fixture(scope="module")
def load(tiny: SaveTiny) -> Load:  # noqa: F811
    loaded: dict[str, DiffusionEditor] = {}

    def editor(model_id: str) -> DiffusionEditor:
        if model_id not in loaded:
            entry, weights = tiny(model_id)
            assert entry.sampling is not None
            small = entry.model_copy(update={"sampling": entry.sampling.model_copy(update={"megapixels": 0.012})})
            loaded[model_id] = editor_for(small, weights, CPU, batch=2, allow_test_weights=True)
        return loaded[model_id]

    return editor


@pytest.fixture(scope="module")
def room() -> BoxedRoom:
    base = cv2.imread(str(ROOM), cv2.IMREAD_COLOR_RGB)
    assert base is not None
    small = np.asarray(cv2.resize(base, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    found = RENDERED.survey(StagingRequest("sunless", small, Room(), "japandi", pieces_seed=5))
    return BoxedRoom(found.request, found.geometry, found.kit, found.designs)


def diffusible(room: BoxedRoom, *editors: ImageEditor) -> DiffusibleRoom:
    end = DiffusedStaging(RENDERED, editors, allow_test_models=True)
    return DiffusibleRoom(end, room, protected_regions(room.geometry), False)


@pytest.mark.parametrize("model_id", models_for(Stage.STAGING))
def test_a_room_goes_through_the_whole_stage_and_keeps_its_walls(model_id: str, load: Load, room: BoxedRoom) -> None:
    staged, attempts = furnish_until_accepted(diffusible(room, KeepingTheRoom(load(model_id))), 0, silent)
    mask = cv2.imdecode(np.frombuffer(staged.attachments["mask.png"], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    assert np.array_equal(staged.rgb[mask == 0], room.request.base[mask == 0])
    (operation,) = staged.operations
    assert (operation.tool, operation.generative) == (model_id, True)
    assert operation.weights_sha256 == load(model_id).weights_sha256
    assert operation.parameters["controls"] == STEERED_BY[model_id]
    assert staged.verdicts[0].gate == "structure" and 1 <= len(attempts) <= 4
    drawn = room.pixels(room.arrange(attempts[-1].seed), silent)
    assert not np.array_equal(staged.rgb, drawn.rgb), "the model took part"


@pytest.mark.parametrize("model_id", models_for(Stage.ENHANCEMENT))
def test_a_photo_goes_through_polishing_in_tiles_and_stays_the_same_room(
    model_id: str, load: Load, room: BoxedRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polish, "TILE", 160)
    monkeypatch.setattr(polish, "OVERLAP", 40)
    base, told = np.ascontiguousarray(room.request.base[:200, :300]), list[str]()
    polishing = Polishing((KeepingTheRoom(load(model_id), share=0.04),), allow_test_models=True)
    picture, attempts = polishing.polish(base, "a living room", 3, told.append)
    (operation,), (verdict,) = picture.operations, picture.verdicts
    assert (operation.tool, operation.generative, operation.seed) == (model_id, True, attempts[-1].seed)
    assert operation.parameters["tiles"] > 1 and operation.weights_sha256 == load(model_id).weights_sha256
    assert (verdict.gate, verdict.outcome) == ("structure", "passed") and "step" in told[0]
    assert picture.rgb.shape == base.shape and not np.array_equal(picture.rgb, base)


@pytest.mark.parametrize("model_id", models_for(Stage.DECLUTTER))
def test_clutter_goes_through_the_whole_stage_and_the_rest_stays_bit_for_bit(model_id: str, load: Load) -> None:
    base, _ = cluttered_room()
    editor = KeepingTheRoom(load(model_id), share=0.04, start=filled_in)
    picture, _ = Decluttering((editor,), Seeing([]), allow_test_models=True).declutter(base, 0)
    removed = cv2.imdecode(np.frombuffer(picture.attachments["removed.png"], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert removed is not None and picture.rejection is None, picture.rejection
    assert np.array_equal(picture.rgb[removed == 0], base[removed == 0])
    assert (np.abs(picture.rgb.astype(int) - RED).max(axis=2) >= 40).all(), "no box is left"
    (operation,) = picture.operations
    assert (operation.tool, operation.generative) == (model_id, True)


def test_rooms_in_a_batch_come_out_as_alone_and_a_seed_gives_them_again(load: Load, room: BoxedRoom) -> None:
    first = diffusible(room, KeepingTheRoom(load("sd15-inpaint")))
    other = DiffusibleRoom(first.end, room, np.ones_like(first.protected), False)
    together = first.end.furnish_together([first, other], 1, silent)
    for each, made in zip((first, other), together, strict=True):
        assert isinstance(made, StagedRoom)
        # The last bit of a sum depends on how many pictures the kernel was given; dark tones are stretched twofold.
        assert np.abs(each.furnish(1, silent).rgb.astype(int) - made.rgb).max() <= 4


@pytest.fixture
def broken(load: Load) -> Iterator[DiffusionEditor]:
    """An editor whose network gives no numbers."""
    editor = load("flux2-klein-4b")
    editor.load()
    sound = [(parameter, parameter.data.clone()) for parameter in editor._pipeline.transformer.parameters()]
    for parameter, _ in sound:
        parameter.data.fill_(float("nan"))
    yield editor
    for parameter, data in sound:
        parameter.data.copy_(data)


def test_an_entry_whose_pictures_are_no_numbers_is_followed_by_the_next(
    broken: DiffusionEditor, load: Load, room: BoxedRoom
) -> None:
    staged = diffusible(room, KeepingTheRoom(broken), KeepingTheRoom(load("sd15-inpaint"))).furnish(0, silent)
    (operation,) = staged.operations
    assert operation.tool == "sd15-inpaint" and operation.parameters["passed_over"][0].startswith("flux2-klein-4b: ")
    with pytest.raises(ModelFailed, match="flux2-klein-4b"):
        diffusible(room, KeepingTheRoom(broken)).furnish(0, silent)


def test_random_pictures_of_another_room_never_come_through(load: Load, room: BoxedRoom) -> None:
    """Without the help above, tiny weights draw noise all over: it can't be laid over the photo, and is refused."""
    with pytest.raises(
        Exception, match=r"nothing by which it could be laid over|moved the view|bent the view"
    ) as refused:
        diffusible(room, load("qwen-image-edit")).furnish(0, silent)
    assert "qwen-image-edit" in str(refused.value)
    with pytest.raises(CannotAlter):
        Polishing((load("sd15-tile"),), allow_test_models=True).polish(room.request.base, "a living room", 0)


def test_tiny_weights_are_refused_where_results_matter(load: Load) -> None:
    with pytest.raises(NotForDelivery):
        DiffusedStaging(RENDERED, (load("sdxl-union"),))
    with pytest.raises(NotForDelivery):
        Polishing((load("sd15-tile"),))


def test_a_cancelled_run_stops_the_drawing_between_two_steps(load: Load, room: BoxedRoom) -> None:
    class Cancelled(Exception):
        pass

    def progress(what: str) -> None:
        if "step" in what:
            raise Cancelled(what)

    with pytest.raises(Cancelled, match=r"sdxl-union: step \d of 2"):
        diffusible(room, KeepingTheRoom(load("sdxl-union"))).furnish(0, progress)


def test_a_segmenter_of_the_real_classes_protects_what_it_finds(load: Load, room: BoxedRoom, tmp_path: Path) -> None:
    entry = tiny_entry("UperNet", save_tiny_upernet(tmp_path), "transformers.UperNetForSemanticSegmentation")
    segmenter = AdeSegmenter(entry, inspect_folder(entry, tmp_path, allow_test_weights=True), CPU)
    end = DiffusedStaging(RENDERED, (KeepingTheRoom(load("sdxl-union")),), segmenter, allow_test_models=True)
    surveyed = end.survey(room.request)
    assert surveyed.is_segmented and surveyed.protected.shape == room.request.base.shape[:2]
    assert (surveyed.protected >= protected_regions(room.geometry)).all()


def test_a_built_in_that_only_a_segmentation_sees_is_protected(room: BoxedRoom) -> None:
    floor = room.geometry.floor & ~protected_regions(room.geometry)
    island = floor & (np.arange(floor.shape[1]) < floor.shape[1] // 2)
    seen = KnownClasses([np.where(island, 73, np.where(room.geometry.floor, FLOOR, WALL)).astype(np.uint8)])
    surveyed = DiffusedStaging(RENDERED, (), seen).survey(room.request)
    assert surveyed.protected[island].all() and not surveyed.protected[floor & ~island].any() and island.any()
