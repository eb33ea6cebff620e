"""Image editors over tiny pipelines of the real classes, loaded from the very files that the catalogue names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from listing_media_dagster.models.catalogue import catalogue
from listing_media_dagster.models.diffusion import DiffusionEditor, editor_for
from listing_media_dagster.models.diffusion.ladder import remembered_plans
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.models.weights_folder import BadWeights
from listing_media_dagster_tests.helpers.tiny_pipelines import SaveTiny, a_room

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_torch_thread", "small_qwen")

CPU = Hardware(device="cpu", name="test CPU", memory_gb=16)
EDITS = {Stage.STAGING, Stage.DECLUTTER, Stage.ENHANCEMENT}
FAMILIES = [entry.id for entry in catalogue().models if EDITS & set(entry.stages)]
Editor = Callable[[str], DiffusionEditor]


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    remembered_plans.forget()
    yield
    remembered_plans.forget()


@pytest.fixture(scope="session")
def editor(tiny: SaveTiny) -> Editor:
    """Return the editor of a catalogue entry, loaded once; three pictures go together."""
    loaded: dict[str, DiffusionEditor] = {}

    def load(model_id: str) -> DiffusionEditor:
        if model_id not in loaded:
            entry, weights = tiny(model_id)
            loaded[model_id] = editor_for(entry, weights, CPU, batch=3, allow_test_weights=True)
        return loaded[model_id]

    return load


@pytest.fixture
def fresh(tiny: SaveTiny) -> Callable[..., DiffusionEditor]:
    """Return an editor of its own for a test that breaks it."""

    def load(model_id: str, hardware: Hardware = CPU, **changes: Any) -> DiffusionEditor:
        entry, weights = tiny(model_id)
        options = {key: changes.pop(key) for key in ("batch", "kit", "speedups") if key in changes}
        entry = entry.model_copy(update=changes)
        return editor_for(entry, weights, hardware, allow_test_weights=True, **options)

    return load


def apart(one: Any, other: Any) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("model_id", FAMILIES)
def test_a_batched_picture_equals_its_single_run_and_its_seed_gives_it_again(editor: Editor, model_id: str) -> None:
    rooms = [a_room(0), a_room(1), a_room(0, seed=7)]
    told: list[tuple[int, int]] = []
    together = editor(model_id).edit(rooms, lambda step, steps: told.append((step, steps)))
    alone = [editor(model_id).edit([room])[0] for room in rooms]
    # The last bit of a sum depends on how many pictures the kernel was given.
    assert max(apart(one, other) for one, other in zip(together, alone, strict=True)) <= 1
    assert all(picture.shape == (32, 32, 3) and picture.dtype == np.uint8 for picture in together)
    assert apart(together[0], together[2]) > 5, "another seed is another picture"
    assert told[-1][0] == told[-1][1] and told == sorted(told), "progress ends where it said it would"


def test_pictures_of_several_sizes_and_strengths_come_back_in_their_order(editor: Editor) -> None:
    wide = a_room(1, image=np.full((20, 45, 3), 90, np.uint8), mask=None, depth=None, lines=None)
    rooms = [a_room(0), wide, a_room(2, strength=0.5), a_room(3)]
    pictures = editor("sd15-inpaint").edit(rooms)
    assert [picture.shape for picture in pictures] == [room.image.shape for room in rooms]
    for room, picture in zip(rooms, pictures, strict=True):
        assert apart(editor("sd15-inpaint").edit([room])[0], picture) <= 1


def test_pictures_are_worked_on_at_the_size_the_model_draws_best(editor: Editor) -> None:
    size = editor("sdxl-union").working_size
    assert size((4000, 3000)) == (1176, 880)
    assert size((1000, 750)) == (1000, 744), "never enlarged"
    assert editor("sd15-inpaint").working_size((4000, 3000)) == (728, 544)
    assert editor("flux2-klein-4b").working_size((900, 600)) == (896, 592)


def test_klein_is_never_shown_more_than_its_pipeline_leaves_as_it_is(editor: Editor) -> None:
    """Above 1024 x 1024 px it would be reduced by the pipeline: 1312x800 became 1296x784, squeezed."""
    size = editor("flux2-klein-4b").working_size
    assert size((3000, 3000)) == size((5000, 5000)) == (1024, 1024)
    for width in (3936, *range(600, 6000, 7)):
        across, down = size((width, 2400))
        assert across * down <= 1024 * 1024 and across % 16 == down % 16 == 0


@pytest.mark.parametrize("control", ["depth", "lines"])
@pytest.mark.parametrize("model_id", ["sdxl-union", "sd15-inpaint"])
def test_controls_steer(editor: Editor, model_id: str, control: str) -> None:
    room = a_room(0)
    turned = np.ascontiguousarray(np.rot90(getattr(room, control)))
    as_asked, other, without = editor(model_id).edit(
        [room, replace(room, **{control: turned}), replace(room, **{control: None})]
    )
    assert apart(as_asked, other) > 0 and apart(as_asked, without) > 0


@pytest.mark.parametrize("model_id", ["sdxl-union", "flux2-klein-4b", "sdxl-tile"])
def test_what_is_drawn_over_is_the_start(editor: Editor, model_id: str) -> None:
    room = a_room(0, strength=0.5)
    other = replace(room, start=np.ascontiguousarray(room.image[::-1]))
    assert apart(*editor(model_id).edit([room, other])) > 5


def test_only_what_the_mask_allows_is_drawn_anew(editor: Editor) -> None:
    room = a_room(0, strength=1.0)
    other = replace(room, seed=9)
    one, two = editor("sdxl-union").edit([room, other])
    outside = np.abs(one.astype(int) - two)[:4].mean()
    inside = np.abs(one.astype(int) - two)[12:24, 12:24].mean()
    assert inside > 3 * outside


def test_the_scheduler_of_the_entry_is_the_one_that_draws(editor: Editor) -> None:
    editor("sdxl-union").load()
    scheduler = editor("sdxl-union")._pipeline.scheduler
    assert type(scheduler).__name__ == "EulerDiscreteScheduler"
    assert scheduler.config["timestep_spacing"] == "trailing"
    assert type(editor("sd15-inpaint")._pipeline.scheduler).__name__ == "LCMScheduler"


def test_a_lora_is_melted_into_the_weights_and_one_of_a_kit_only_for_it(tiny: SaveTiny, fresh: Any) -> None:
    entry, _ = tiny("sdxl-union")
    of_a_kit = (entry.loras[0].model_copy(update={"kits": ("nordic",)}),)

    def queries(**changes: Any) -> Any:
        editor = fresh("sdxl-union", **changes)
        editor.load()
        weights = editor._pipeline.unet.state_dict()
        assert not any("lora" in name for name in weights)
        return next(values for name, values in weights.items() if name.endswith("to_q.weight"))

    with_it, without = queries(), queries(loras=())
    assert not torch.equal(with_it, without)
    assert torch.equal(queries(loras=of_a_kit, kit="nordic"), with_it)
    assert torch.equal(queries(loras=of_a_kit, kit="loft"), without)


def test_a_scheduler_that_draws_noise_of_its_own_still_keeps_to_the_seeds(fresh: Any) -> None:
    from diffusers import FlowMatchLCMScheduler

    klein = fresh("flux2-klein-4b", batch=2)
    klein.load()
    klein._pipeline.scheduler = FlowMatchLCMScheduler()
    state = torch.get_rng_state()
    rooms = [a_room(0), a_room(1)]
    together = klein.edit(rooms)
    assert [apart(klein.edit([room])[0], picture) for room, picture in zip(rooms, together, strict=True)] == [0, 0]
    assert torch.equal(torch.get_rng_state(), state), "nobody else's random numbers change"


def test_drawing_can_be_cancelled_at_any_step_and_the_editor_goes_on(editor: Editor) -> None:
    class Cancelled(Exception):
        pass

    def cancel(step: int, steps: int) -> None:
        raise Cancelled

    for model_id in ("sd15-inpaint", "flux2-klein-4b"):
        before = editor(model_id).edit([a_room(0)])[0]
        with pytest.raises(Cancelled):
            editor(model_id).edit([a_room(1)], cancel)
        assert apart(editor(model_id).edit([a_room(0)])[0], before) == 0


def test_drawing_that_breaks_off_leaves_no_part_on_the_device(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offloaded parts wait for the end of a call to be brought back, which an interrupted one doesn't reach."""
    freed: list[bool] = []
    editor("sd15-inpaint").load()
    kind = type(editor("sd15-inpaint")._pipeline)
    monkeypatch.setattr(kind, "maybe_free_model_hooks", lambda _: freed.append(True))

    def cancel(step: int, steps: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        editor("sd15-inpaint").edit([a_room(0)], cancel)
    assert freed == [True]


def test_threads_take_turns(editor: Editor) -> None:
    rooms = [a_room(seed) for seed in range(2)]
    expected = [editor("sd15-inpaint").edit([room])[0] for room in rooms]
    drawn: dict[int, Any] = {}

    def draw(number: int) -> None:
        drawn[number] = editor("sd15-inpaint").edit([rooms[number]])[0]

    threads = [threading.Thread(target=draw, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [apart(drawn[number], expected[number]) for number in range(2)] == [0, 0]


def test_an_unloaded_editor_loads_again_and_draws_the_same(fresh: Any) -> None:
    editor = fresh("sd15-tile")
    first = editor.edit([a_room(0)])[0]
    assert editor.is_loaded
    editor.unload()
    assert not editor.is_loaded
    assert apart(editor.edit([a_room(0)])[0], first) == 0


def test_an_editor_asked_for_its_memory_while_it_draws_keeps_it(fresh: Any) -> None:
    editor = fresh("sd15-tile")
    picture = editor.edit([a_room(0)], lambda step, steps: editor.unload())[0]
    assert editor.is_loaded and picture.shape == (32, 32, 3)


def _spoil(editor: DiffusionEditor, change: Callable[[Any], None]) -> None:
    editor.load()
    with torch.no_grad():
        change(editor._pipeline.vae.decoder.conv_out)


@pytest.mark.parametrize(
    ("bias", "reason"),
    [(float("nan"), "isn't a number"), (-9.0, "black"), (0.0, "one colour")],
)
def test_what_is_no_picture_is_a_failure_of_the_model(fresh: Any, bias: float, reason: str) -> None:
    editor = fresh("sd15-tile")

    def make_it_all(conv_out: Any) -> None:
        conv_out.weight.zero_()
        conv_out.bias.fill_(bias)

    _spoil(editor, make_it_all)
    with pytest.raises(ModelFailed, match=f"polish under tile control.*{reason}"):
        editor.edit([a_room(0)])


def test_requests_that_contradict_themselves_are_refused(editor: Editor) -> None:
    with pytest.raises(ValueError, match="`mask` is 10x8 px, the image 32x32"):
        editor("sd15-tile").edit([a_room(0, mask=np.ones((8, 10), np.float32))])
    with pytest.raises(ValueError, match=r"`image` is float64 \(32, 32, 3\), not uint8"):
        editor("sd15-tile").edit([a_room(0, image=np.ones((32, 32, 3)))])
    with pytest.raises(ValueError, match=r"strength 0 isn't above 0"):
        editor("sd15-tile").edit([a_room(0, strength=0.0)])


def test_random_weights_are_refused_outside_tests(tiny: SaveTiny) -> None:
    entry, weights = tiny("sd15-tile")
    with pytest.raises(BadWeights, match="made for tests"):
        editor_for(entry, weights, CPU)
    with pytest.raises(BadWeights, match="made for tests"):
        editor_for(entry.model_copy(update={"test_only": False}), weights, CPU)


def test_a_number_format_is_taken_only_where_it_is_native(tiny: SaveTiny) -> None:
    entry, weights = tiny("flux2-klein-4b")
    turing = Hardware(device="cuda", name="Tesla T4", memory_gb=30, vram_gb=15, free_vram_gb=15, fp16=True)

    def dtype(device: Hardware, **changes: Any) -> str:
        editor = editor_for(entry.model_copy(update=changes), weights, device, allow_test_weights=True)
        return str(editor._load_pipeline.args[2])  # type: ignore[attr-defined]

    assert dtype(replace(turing, bf16=True), dtypes=("bfloat16",)) == "bfloat16"
    assert dtype(turing, dtypes=("bfloat16",)) == "float16", "a risky one, for want of a sound one"
    with pytest.raises(ModelFailed, match="needs bfloat16, which Tesla T4 doesn't have"):
        dtype(turing, dtypes=("bfloat16",), risky_dtypes=())


def test_an_entry_that_edits_nothing_is_refused(tiny: SaveTiny) -> None:
    entry, weights = tiny("sd15-tile")
    with pytest.raises(LookupError, match="family 'wan', which doesn't edit pictures"):
        editor_for(entry.model_copy(update={"family": "wan"}), weights, CPU, allow_test_weights=True)


def test_weights_lie_where_the_entry_says(tiny: SaveTiny) -> None:
    _, weights = tiny("sdxl-union")
    files = {path.relative_to(weights.path.parent).as_posix() for path in weights.path.parent.rglob("*.safetensors")}
    assert "base/vae/diffusion_pytorch_model.fp16.safetensors" not in files, "the entry swaps the VAE"
    assert "vae/diffusion_pytorch_model.safetensors" in files
    assert Path(weights.file("lightning")).name == "sdxl_lightning_8step_lora.safetensors"
