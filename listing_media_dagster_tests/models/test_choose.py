"""Which model a stage gets on which machine: the tiers, and the reason for every model that wasn't taken."""

from __future__ import annotations

import pytest

from listing_media_dagster.models.catalogue import catalogue, catalogue_entry
from listing_media_dagster.models.choose import choose
from listing_media_dagster.models.entry import CatalogueEntry, Stage, Vram
from listing_media_dagster.models.hardware import Hardware

TURING, AMPERE, ADA, HOPPER = (7, 5), (8, 6), (8, 9), (9, 0)


def _gpu(vram_gb: float, capability: tuple[int, int], *, memory_gb: float = 128) -> Hardware:
    return Hardware(
        device="cuda",
        name=f"{vram_gb:g} GiB",
        memory_gb=memory_gb,
        vram_gb=vram_gb,
        free_vram_gb=vram_gb - 0.4,
        compute_capability=capability,
        bf16=capability >= (8, 0),
        fp16=capability >= (7, 0),
    )


CPU = Hardware(device="cpu", name="CPU", memory_gb=16)
T4 = _gpu(14.6, TURING, memory_gb=29)


@pytest.mark.parametrize(
    ("hardware", "staging", "enhancement", "animation"),
    [
        (CPU, None, None, None),
        (_gpu(7.7, AMPERE), ("sd15-inpaint", "resident", "float16"), "sd15-tile", None),
        (_gpu(11.7, AMPERE), ("sdxl-union", "resident", "float16"), "sdxl-tile", "svd-xt"),
        (T4, ("sdxl-union", "resident", "float16"), "sdxl-tile", "svd-xt"),
        (_gpu(15.7, ADA), ("flux2-klein-4b", "offload", "bfloat16"), "sdxl-tile", "fastwan-5b"),
        (_gpu(23.6, ADA), ("flux2-klein-4b", "resident", "bfloat16"), "sdxl-tile", "wan22-5b"),
        (_gpu(79.1, HOPPER), ("qwen-image-edit", "resident", "bfloat16"), "sdxl-tile", "wan22-5b"),
        (_gpu(139.8, HOPPER), ("qwen-image-edit", "resident", "bfloat16"), "sdxl-tile", "wan22-5b"),
    ],
    ids=["CPU", "8 GB", "12 GB", "T4", "16 GB Ada", "24 GB", "80 GB", "H200"],
)
def test_each_tier_gets_the_best_model_that_fits_it(
    hardware: Hardware, staging: tuple[str, str, str] | None, enhancement: str | None, animation: str | None
) -> None:
    chosen = choose(Stage.STAGING, hardware)
    first = chosen.options[0] if chosen.options else None
    assert (first and (first.entry.id, first.way, first.dtype)) == staging
    assert _id(choose(Stage.ENHANCEMENT, hardware).entry) == enhancement
    assert _id(choose(Stage.ANIMATION, hardware, allowed_licences={"svd-xt"}).entry) == animation


@pytest.mark.parametrize("hardware", [CPU, T4], ids=["CPU", "T4"])
def test_looking_at_photos_runs_anywhere(hardware: Hardware) -> None:
    for stage, expected in [
        (Stage.DEPTH, "depth-anything-v2-small"),
        (Stage.SEGMENTATION, "upernet-convnext-tiny"),
        (Stage.CLIP_SCORES, "clip-vit-b32"),
        (Stage.FACES, "yunet"),
    ]:
        assert _id(choose(stage, hardware).entry) == expected


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("hardware", [CPU, T4, _gpu(139.8, HOPPER)], ids=["CPU", "T4", "H200"])
def test_every_entry_is_either_chosen_or_has_a_reason(stage: Stage, hardware: Hardware) -> None:
    choice = choose(stage, hardware)
    asked = {entry.id for entry in catalogue().models if stage in entry.stages}
    assert asked == set(choice.reasons) | ({choice.entry.id} if choice.entry else set())
    assert all(choice.reasons.values())


@pytest.mark.parametrize(
    ("model", "hardware", "reason"),
    [
        ("qwen-image-edit", T4, "needs bfloat16, which 14.6 GiB doesn't have"),
        ("qwen-image-edit", _gpu(23.6, ADA), "needs 44 GiB of VRAM, even with its parts brought in one at a time"),
        ("flux2-klein-4b", _gpu(15.7, ADA, memory_gb=8), "needs 17 GiB of memory to wait in, there are 8"),
        ("sd15-inpaint", CPU, "would take 1.5 minutes a picture on the CPU, which wasn't asked for"),
        ("sdxl-union", CPU, "needs a GPU"),
        ("sd15-inpaint", T4, "would run; sdxl-union is preferred"),
        ("flux2-klein-4b", T4, "in float16, which overflows at times; sdxl-union is sound"),
    ],
)
def test_the_reason_says_what_is_lacking(model: str, hardware: Hardware, reason: str) -> None:
    assert reason in choose(Stage.STAGING, hardware).reasons[model]


def test_a_model_that_may_overflow_comes_after_every_sound_one() -> None:
    assert [(option.entry.id, option.is_risky) for option in choose(Stage.STAGING, T4).options] == [
        ("sdxl-union", False),
        ("sd15-inpaint", False),
        ("flux2-klein-4b", True),
    ]


def test_minutes_on_a_cpu_have_to_be_asked_for() -> None:
    chosen = choose(Stage.STAGING, CPU, slow_cpu=True).options
    assert [(option.entry.id, option.way, option.dtype) for option in chosen] == [("sd15-inpaint", "cpu", "float32")]


def test_a_gpu_that_cant_be_used_is_said_where_one_is_needed() -> None:
    p100 = Hardware(device="cpu", name="CPU", memory_gb=29, fault="Tesla P100: torch has no kernels for sm_60")
    assert "no kernels for sm_60" in choose(Stage.STAGING, p100).reasons["sdxl-union"]


def test_only_weights_that_are_here_are_taken_and_the_others_name_their_command() -> None:
    choice = choose(Stage.STAGING, T4, here={"sd15-inpaint"})
    assert _id(choice.entry) == "sd15-inpaint"
    assert "`listing-media models pull sdxl-union`" in choice.reasons["sdxl-union"]


def test_a_licence_with_conditions_is_refused_until_it_is_allowed() -> None:
    refused = choose(Stage.ANIMATION, T4)
    assert refused.entry is None
    assert "US$1,000,000" in refused.reasons["svd-xt"]
    assert "add svd-xt to LISTING_MEDIA_ALLOW_LICENCES" in refused.reasons["svd-xt"]
    assert _id(choose(Stage.ANIMATION, T4, allowed_licences={"svd-xt"}).entry) == "svd-xt"


def test_weights_made_for_tests_are_refused_outside_tests() -> None:
    tiny = catalogue_entry("sdxl-union").model_copy(update={"id": "tiny", "test_only": True})
    assert choose(Stage.STAGING, T4, entries=[tiny]).reasons == {"tiny": "made for tests: its pictures mean nothing"}
    assert _id(choose(Stage.STAGING, T4, entries=[tiny], test_weights=True).entry) == "tiny"


def test_an_entry_named_by_hand_is_the_only_one_considered() -> None:
    choice = choose(Stage.STAGING, T4, only="sd15-inpaint")
    assert [option.entry.id for option in choice.options] == ["sd15-inpaint"]
    assert choice.reasons["sdxl-union"] == "sd15-inpaint was named"


def test_fp32_where_fp16_is_slow_takes_twice_the_vram() -> None:
    gtx1080 = Hardware("cuda", "GTX 1080", 32, vram_gb=8, free_vram_gb=7.6, compute_capability=(6, 1))
    entry = catalogue_entry("sd15-tile").model_copy(update={"vram_gb": Vram(resident=3.7)})
    option = choose(Stage.ENHANCEMENT, gtx1080, entries=[entry]).options[0]
    assert (option.dtype, option.way) == ("float32", "resident")
    larger = entry.model_copy(update={"vram_gb": Vram(resident=4)})
    assert choose(Stage.ENHANCEMENT, gtx1080, entries=[larger]).entry is None


def test_the_description_names_the_choice_and_every_reason() -> None:
    said = choose(Stage.STAGING, T4).describe()
    assert said.startswith("staging: sdxl-union (resident, float16). Not ")
    assert all(model in said for model in ("sd15-inpaint", "flux2-klein-4b", "qwen-image-edit"))


def _id(entry: CatalogueEntry | None) -> str | None:
    return entry.id if entry else None
