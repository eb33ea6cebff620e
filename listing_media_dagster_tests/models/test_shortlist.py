"""Which models a job names, as a table of machines and wishes; and what people are told where there is none."""

import pytest

from listing_media_dagster.models.catalogue import catalogue
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.shortlist import BadWishes, read_wishes, shortlist

ENTRIES = catalogue().models
CPU = Hardware("cpu", "CPU", memory_gb=32)
T4 = Hardware("cuda", "T4", 32, 16, 14.7, (7, 5), fp16=True)
L4 = Hardware("cuda", "L4", 64, 24, 22.5, (8, 9), bf16=True, fp16=True)
ALL = frozenset(entry.id for entry in ENTRIES)


def names(found):
    return [entry.id for entry in found.entries]


@pytest.mark.parametrize(
    ("machines", "elsewhere", "wish", "here", "expected"),
    [
        ((CPU,), False, "auto", (), []),
        ((CPU,), False, "auto", ALL, []),
        ((CPU,), False, "sd15-inpaint", ALL, ["sd15-inpaint"]),
        ((T4, CPU), False, "auto", ALL, ["sdxl-union", "sd15-inpaint", "flux2-klein-4b"]),
        ((T4, CPU), False, "auto", ("sd15-inpaint",), ["sd15-inpaint"]),
        ((T4, CPU), False, "none", ALL, []),
        ((L4,), False, "sdxl-union", ALL, ["sdxl-union"]),
        ((CPU,), True, "auto", ("sdxl-union",), ["sdxl-union"]),
        ((CPU,), True, "auto", (), []),
        ((CPU,), True, "sdxl-union", (), ["sdxl-union"]),
    ],
)
def test_staging_names_what_its_machines_can_run(machines, elsewhere, wish, here, expected):
    found = shortlist(Stage.STAGING, machines, entries=ENTRIES, here=here, elsewhere=elsewhere, wish=wish)
    assert names(found) == expected
    assert bool(found.refusal) == (not expected)
    told = {*expected, *found.reasons}
    assert wish == "none" or told == {entry.id for entry in ENTRIES if Stage.STAGING in entry.stages}


@pytest.mark.parametrize(
    ("stage", "machines", "said"),
    [
        (Stage.STAGING, (T4,), "`listing-media models pull sdxl-union` fetches them"),
        (Stage.DECLUTTER, (CPU,), "LISTING_MEDIA_MODELS=declutter=sd15-inpaint asks for it"),
        (Stage.UPSCALE, (CPU,), "`listing-media models pull swin2sr-x2` fetches them (49 MB)"),
        (Stage.ANIMATION, (CPU,), "wan22-5b: needs a GPU"),
    ],
)
def test_a_refusal_says_what_to_do(stage, machines, said):
    assert said in shortlist(stage, machines, entries=ENTRIES, here=()).refusal


def test_a_licence_with_conditions_counts_only_where_it_was_accepted():
    def asked(**more):
        return names(shortlist(Stage.ANIMATION, (T4,), entries=ENTRIES, here=ALL, **more))

    assert asked() == []
    assert asked(allowed_licences=("svd-xt",)) == ["svd-xt"]


def test_models_made_for_tests_are_on_no_list():
    tests_own = [entry.model_copy(update={"test_only": True}) for entry in ENTRIES]
    assert names(shortlist(Stage.STAGING, (T4,), entries=tests_own, here=ALL)) == []
    assert names(shortlist(Stage.STAGING, (T4,), entries=tests_own, here=ALL, test_weights=True))


def test_only_a_named_diffusion_model_may_take_its_time_on_a_cpu():
    assert not shortlist(Stage.STAGING, (T4, CPU), entries=ENTRIES, here=ALL).on_cpu
    assert shortlist(Stage.STAGING, (T4, CPU), entries=ENTRIES, here=ALL, wish="sd15-inpaint").on_cpu
    assert names(shortlist(Stage.UPSCALE, (CPU,), entries=ENTRIES, here=ALL)) == ["swin2sr-x2"]


def test_wishes_are_read_and_mistakes_named():
    wishes = read_wishes(" staging=sd15-inpaint, animation = none,", ENTRIES)
    assert wishes == {Stage.STAGING: "sd15-inpaint", Stage.ANIMATION: "none"}
    with pytest.raises(BadWishes, match="with one of the stages staging, declutter"):
        read_wishes("stagin=none", ENTRIES)
    with pytest.raises(BadWishes, match="for upscale there is auto, none, swin2sr-x2"):
        read_wishes("upscale=sdxl-union", ENTRIES)
