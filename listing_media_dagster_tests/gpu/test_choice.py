"""Route choice as a table: what is there, what is asked for, where the work goes and what the others said."""

from dataclasses import dataclass

import pytest

from listing_media_dagster.gpu.choice import NOT_ENABLED, choose_route, decide_policy
from listing_media_dagster.gpu.job import Needs
from listing_media_dagster.gpu.routes.cpu import CpuRoute
from listing_media_dagster.gpu.routes.cuda import refusal_of
from listing_media_dagster.gpu.routes.table import UnknownRoute, open_route
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.settings import Settings

T4 = Hardware("cuda", "NVIDIA T4", 30, vram_gb=14.6, free_vram_gb=14.3, compute_capability=(7, 5), fp16=True)
OLD = Hardware("cuda", "Tesla K80", 30, vram_gb=11.2, fault="torch 2.9 has no kernels for sm_37")
OPTIONAL, REQUIRED, NONE = Needs(gpu="optional"), Needs(gpu="required"), Needs()


@dataclass
class Cuda:
    gpus: tuple[Hardware, ...]
    name: str = "cuda"
    is_remote: bool = False

    def refusal(self, needs, job=None):
        return refusal_of(needs, self.gpus)


@dataclass
class Far:
    """A remote route in a given state."""

    name: str
    says: str | None = None
    is_remote: bool = True
    asked: int = 0

    def refusal(self, needs, job=None):
        self.asked += 1
        return self.says


def routes(*gpus, **far):
    here = {"cuda": Cuda(gpus), "cpu": CpuRoute(Settings())}
    return {**here, **{name: Far(name, says) for name, says in far.items()}}


@pytest.mark.parametrize(
    ("case", "setting", "there", "needs", "goes_to", "refusals"),
    [
        ("a GPU is there", "cuda,cpu", routes(T4), OPTIONAL, "cuda", {}),
        ("no CUDA", "cuda,cpu", routes(), OPTIONAL, "cpu", {"cuda": "no CUDA device"}),
        (
            "CUDA too small",
            "cuda,cpu",
            routes(T4),
            Needs(gpu="optional", vram_gb=24),
            "cpu",
            {"cuda": "24 GB of GPU memory are needed; the NVIDIA T4 has 14.6"},
        ),
        (
            "a GPU that runs no kernel",
            "cuda,cpu",
            routes(OLD),
            OPTIONAL,
            "cpu",
            {"cuda": "Tesla K80: torch 2.9 has no kernels for sm_37"},
        ),
        (
            "quota spent",
            "cuda,kaggle,cpu",
            routes(kaggle="0.3 of 30 GPU hours left"),
            OPTIONAL,
            "cpu",
            {"cuda": "no CUDA device", "kaggle": "0.3 of 30 GPU hours left"},
        ),
        ("no credentials", "kaggle,cpu", routes(kaggle="no key"), OPTIONAL, "cpu", {"kaggle": "no key"}),
        ("broker down", "celery,cpu", routes(celery="no answer"), OPTIONAL, "cpu", {"celery": "no answer"}),
        ("work without a GPU in it", "cuda,cpu", routes(T4), NONE, "cpu", {"cuda": "nothing in it runs on a GPU"}),
        ("a GPU is required and there", "cpu,cuda", routes(T4), REQUIRED, "cuda", {"cpu": "a GPU is required"}),
        (
            "a GPU is required and nowhere",
            "cuda,kaggle,cpu",
            routes(kaggle="no key"),
            REQUIRED,
            None,
            {"cuda": "no CUDA device", "kaggle": "no key", "cpu": "a GPU is required"},
        ),
        ("the setting's order counts", "kaggle,cuda", routes(T4, kaggle=None), OPTIONAL, "kaggle", {}),
    ],
)
def test_work_goes_to_the_first_route_that_takes_it(case, setting, there, needs, goes_to, refusals):
    decision = choose_route(needs, decide_policy(setting), there.__getitem__)
    assert (decision.route.name if decision.route else None) == goes_to
    assert decision.refusals == refusals


def test_routes_after_the_chosen_one_are_not_asked():
    there = routes(T4, kaggle=None)
    choose_route(OPTIONAL, decide_policy("cuda,kaggle"), there.__getitem__)
    assert there["kaggle"].asked == 0


def test_a_route_that_failed_is_passed_over_with_what_happened():
    decision = choose_route(OPTIONAL, decide_policy("cuda,cpu"), routes(T4).__getitem__, failed={"cuda": "it melted"})
    assert decision.route.name == "cpu" and str(decision) == "route cpu (cuda: it melted)"


@pytest.mark.parametrize(
    ("tag", "listing", "taken", "in_vain", "said_by"),
    [
        (None, None, ("cuda", "cpu"), (), "LISTING_MEDIA_ROUTES"),
        ("kaggle, cpu", None, ("kaggle", "cpu"), (), "the run's tag listing_media/routes"),
        (None, ("cpu",), ("cpu",), (), "listing.yaml"),
        (None, ("kaggle", "cpu"), ("cpu",), ("kaggle",), "listing.yaml"),
        ("cuda", ("cpu",), ("cuda",), (), "the run's tag listing_media/routes"),
    ],
)
def test_a_tag_counts_before_the_listing_which_chooses_among_what_is_enabled(tag, listing, taken, in_vain, said_by):
    policy = decide_policy("cuda,cpu", tag, listing)
    assert (policy.routes, policy.not_enabled, policy.said_by) == (taken, in_vain, said_by)


def test_a_route_that_only_a_listing_names_is_refused_and_not_opened():
    decision = choose_route(OPTIONAL, decide_policy("cpu", None, ("kaggle",)), {}.__getitem__)
    assert decision.route is None and decision.refusals == {"kaggle": NOT_ENABLED}


def test_a_route_whose_settings_cannot_be_refuses_with_what_is_wrong_with_them(tmp_path):
    at = Settings(_env_file=None, kaggle_dir=tmp_path, kaggle_datasets="weights", work_dir=tmp_path)
    decision = choose_route(OPTIONAL, decide_policy("kaggle,cpu"), lambda name: open_route(name, at))
    assert decision.route.name == "cpu"
    assert decision.refusals == {
        "kaggle": "LISTING_MEDIA_KAGGLE_DATASETS names 'weights', which isn't written as owner/dataset"
    }


@pytest.mark.parametrize(
    ("setting", "tag", "listing", "said"),
    [
        ("cuda,gpu0", None, None, "LISTING_MEDIA_ROUTES names the route 'gpu0'; the routes are cuda, cpu"),
        ("cuda", "kagle", None, "the run's tag listing_media/routes names the route 'kagle'"),
        ("cuda", None, ("CPU",), "routes in listing.yaml names the route 'CPU'"),
        (" , ", None, None, "LISTING_MEDIA_ROUTES names no route"),
    ],
)
def test_a_route_that_nobody_knows_is_named_with_where_it_was_given(setting, tag, listing, said):
    with pytest.raises(UnknownRoute, match=said):
        decide_policy(setting, tag, listing)
