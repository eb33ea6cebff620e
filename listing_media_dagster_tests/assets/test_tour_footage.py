"""What the film is made of beside pictures: clips that a listing asks for, depth by staging or by a model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from listing_media_dagster.assets import model_work
from listing_media_dagster.assets import tour_video as tour_video_module
from listing_media_dagster.assets.animation import WORDS
from listing_media_dagster.assets.chosen_models import ChosenModels
from listing_media_dagster.gpu.job import ModelRef, Needs
from listing_media_dagster.gpu.routes.route import RouteFailed
from listing_media_dagster.gpu.work import animate, depth
from listing_media_dagster.gpu.work.models import ModelsFound
from listing_media_dagster.listing import Operation, OperationName
from listing_media_dagster.models.entry import Stage
from listing_media_dagster.models.model import AnimateRequest, ModelFailed
from listing_media_dagster.tour.storyboard import build_storyboard
from listing_media_dagster_tests.helpers.pipeline import Pipeline, failure_of, save_stage
from listing_media_dagster_tests.helpers.stand_in_editors import stand_in_entry

Rgb = NDArray[np.uint8]
STAND_IN = ModelRef(id="stand-in", weights_sha256="a" * 64)
ROOM = Path(__file__).parents[1] / "staging" / "rendered_rooms" / "sunless.jpg"


def dolly(request: AnimateRequest) -> list[Rgb]:
    """Return an honest, slow push in."""
    image = np.asarray(cv2.resize(request.image, (320, 214), interpolation=cv2.INTER_AREA), np.uint8)
    height, width = image.shape[:2]
    frames = []
    for number in range(5):
        in_x, in_y = 2 * number, round(2 * number * height / width)
        part = image[in_y : height - in_y, in_x : width - in_x]
        frames.append(np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8))
    return frames


def noise(request: AnimateRequest) -> list[Rgb]:
    return list(np.random.default_rng(request.seed).integers(0, 255, (5, 214, 320, 3)).astype(np.uint8))


def none(request: AnimateRequest) -> list[Rgb]:
    raise ModelFailed("no memory left")


@pytest.fixture
def scored(tmp_path: Path, prepared: Path) -> Pipeline:
    """A listing as far as its scores, which this test may change."""
    shutil.copytree(prepared, tmp_path / "media")
    return Pipeline(str(tmp_path / "media"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    picture = cv2.imread(str(ROOM), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    pipeline = Pipeline(str(folder / "media"))
    for stage in ("raw_photos", "clip_scores"):
        save_stage(pipeline, stage, {"living-room.jpg": np.asarray(picture, np.uint8)}, generative={"animate": "all"})
    return folder / "media"


@pytest.fixture(autouse=True)
def _a_small_film(monkeypatch: pytest.MonkeyPatch) -> None:
    small = partial(build_storyboard, size=(320, 180), fps=8, seconds_per_photo=1.5)
    monkeypatch.setattr(tour_video_module, "build_storyboard", small)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have models for these stages, and clips drawn by `draw`."""

    def use(draw: Callable[[AnimateRequest], list[Rgb]], *stages: Stage, ref: ModelRef = STAND_IN) -> None:
        def choose(stage: Stage, routes: Any, at: Any) -> ChosenModels:
            if stage not in stages:
                return ChosenModels(stage, (), Needs(), refusal="`listing-media models pull wan22-5b` fetches one")
            return ChosenModels(stage, (ref,), Needs())

        def animator(*asked: Any, **how: Any) -> ModelsFound[Any]:
            made = SimpleNamespace(
                entry=stand_in_entry("stand-in"),
                weights_sha256="a" * 64,
                fps=7,
                frames=5,
                takes_prompt=True,
                animate=lambda request, progress: draw(request),
            )
            return ModelsFound((made,), ())

        def estimator(*asked: Any, **how: Any) -> ModelsFound[Any]:
            def nearness(images: list[Rgb]) -> list[NDArray[np.float32]]:
                return [
                    np.linspace(0, 1, len(image), dtype=np.float32)[:, None] + 0 * image[..., 0] for image in images
                ]

            made = SimpleNamespace(entry=stand_in_entry("depth"), weights_sha256="b" * 64, nearness=nearness)
            return ModelsFound((made,), ())

        monkeypatch.setattr(model_work, "choose_models", choose)
        monkeypatch.setattr(animate, "find_models", animator)
        monkeypatch.setattr(depth, "find_models", estimator)

    return use


def filmed(pipeline: Pipeline) -> Any:
    result = pipeline.run("tour_video")
    assert result.success, failure_of(result)
    return pipeline.photo_set("tour_video")


def test_an_accepted_clip_is_in_the_film_labelled_recorded_and_disclosed(scored: Pipeline, models: Any) -> None:
    models(dolly, Stage.ANIMATION)
    film = filmed(scored)
    ((name, record),) = film.parameters["clips"].items()
    assert record["verdict"]["outcome"] == "passed" and record["operation"]["generative"]
    assert record["operation"]["name"] == "animation" and f"clip {name}" in film.companions
    assert film.parameters["poster_of"]["label"] == WORDS and film.parameters["poster_of"]["clip"]
    assert "1 of its shots with AI-generated motion" in film.deliverables[0].description
    assert scored.run("listing_package").success
    files = {file.name: file for file in scored.photo_set("listing_package").deliverables}
    page = scored.store.read(files["index.html"].key).decode()
    assert "set in motion by a generative model" in page
    assert b"video_disclosure" in scored.store.read(files["listing-media.json"].key)


def test_a_known_clip_is_not_made_again(scored: Pipeline, models: Any) -> None:
    models(dolly, Stage.ANIMATION)
    first = filmed(scored)
    models(none, Stage.ANIMATION)
    again = filmed(scored)
    assert again.parameters["clips"] == first.parameters["clips"]
    assert again.stage.computed == 0


def test_a_clip_that_shows_something_else_is_refused_and_the_camera_moves_instead(
    scored: Pipeline, models: Any
) -> None:
    models(noise, Stage.ANIMATION)
    film = filmed(scored)
    ((name, record),) = film.parameters["clips"].items()
    assert "clip" not in record and "frame" in record["refused"]
    assert any(f"{name}: asked to animate, not done: stand-in: frame" in said for said in film.stage.messages)
    assert "clip" not in film.parameters["poster_of"] and film.deliverables[0].description == "Tour video"


def test_where_no_clip_can_be_made_the_film_is_made_and_says_why(scored: Pipeline, models: Any) -> None:
    models(dolly)
    assert any("`listing-media models pull wan22-5b`" in said for said in filmed(scored).stage.messages)
    models(none, Stage.ANIMATION)
    film = filmed(scored)
    assert any("no memory left" in said for said in film.stage.messages) and "clips" not in film.parameters


def test_a_depth_model_gives_the_camera_move_depth_once(scored: Pipeline, models: Any) -> None:
    models(none, Stage.DEPTH)
    film = filmed(scored)
    assert film.parameters["poster_of"]["nearness"]
    (role,) = [role for role in film.companions if role.startswith("nearness ")]
    before = scored.photo_set("tour_video").companions[role]
    assert filmed(scored).companions[role] == before


def test_depth_by_another_commit_of_weights_that_arent_here_is_measured_anew(scored: Pipeline, models: Any) -> None:
    def roles_with(recipe: str) -> set[str]:
        models(none, Stage.DEPTH, ref=ModelRef(id="stand-in", recipe=recipe))
        return {role for role in filmed(scored).companions if role.startswith("nearness ")}

    before = roles_with("c" * 64)
    assert roles_with("c" * 64) == before
    assert roles_with("d" * 64).isdisjoint(before)


def test_a_staged_room_brings_its_own_depth(scored: Pipeline, models: Any) -> None:
    models(none)
    was = scored.photo_set("clip_scores")
    depth_map = np.tile(np.linspace(6000, 1500, 496).astype(np.uint16)[:, None], (1, 744))
    stored = scored.store.write("listings/house-1/clip_scores/depth.png", cv2.imencode(".png", depth_map)[1].tobytes())
    staging = Operation(name=OperationName.VIRTUAL_STAGING, version="1")
    photos = tuple(
        photo.model_copy(
            update={
                "base": photo.image,
                "operations": (staging,),
                "attachments": {**photo.attachments, "depth.png": stored},
            }
        )
        for photo in was.photos
    )
    scored.resource.photo_sets().save(was.model_copy(update={"photos": photos}))
    film = filmed(scored)
    assert film.parameters["poster_of"]["nearness"][0] == stored.sha256
    assert film.parameters["poster_of"]["label"] == "Virtually staged"


def test_where_no_route_takes_the_work_the_film_is_made_all_the_same(
    scored: Pipeline, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*asked: Any, **how: Any) -> Any:
        raise RouteFailed("nothing here can do it: GPU time is spent", may_succeed_later=False)

    models(dolly, Stage.ANIMATION, Stage.DEPTH)
    monkeypatch.setattr(model_work.ModelWork, "send", nowhere)
    said = " ".join(filmed(scored).stage.messages)
    assert "asked to animate, not done: nothing here can do it" in said and "filmed without depth" in said
