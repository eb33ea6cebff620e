"""Image to video: photos set in motion, each clip looked at frame by frame before it may be shown.

An item has the input `picture` and a seed; `room` is the type of room it shows. The job's model and its
`further_models` are tried in turn. A clip that doesn't show the photo's room is refused, with the frame and the reason.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.models import find_models, models_of
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.listing import Operation, OperationName, Room, RoomType
from listing_media_dagster.models.entry import CatalogueEntry, Stage
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.model import AnimateRequest, Animator, ModelFailed, Rgb
from listing_media_dagster.models.video.animator import VideoDiffusion
from listing_media_dagster.models.video.families import FAMILIES
from listing_media_dagster.models.video.prompts import motion_prompt
from listing_media_dagster.models.weights import BadWeights, ModelMissing, WeightsFolder
from listing_media_dagster.staging.redraw import refuse_test_models
from listing_media_dagster.tour.animated_clip import judge_animation
from listing_media_dagster.tour.clips import write_clip

PICTURE, CLIP, ROOM = "picture", "clip.mp4", "room"
VERSION = "1"


@dataclass(frozen=True)
class _Film:
    frames: list[Rgb]
    animator: Animator
    passed_over: tuple[str, ...]


def animate_pictures(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    job = tasks[0].job
    animators = find_models(models_of(job), Stage.ANIMATION, bench, _animator, slow_cpu=job.needs.slow_cpu).any()
    refuse_test_models(animators, allowed=bench.allow_test_weights)
    for task in tasks:
        yield _animated(task, animators, bench)


def _animator(entry: CatalogueEntry, weights: WeightsFolder, hardware: Hardware) -> Animator:
    if entry.family not in FAMILIES:
        raise ModelFailed(f"this version of the package doesn't run models of the family {entry.family!r}")
    return VideoDiffusion(entry, weights, hardware)


def _animated(task: Task, animators: Sequence[Animator], bench: Bench) -> Made:
    photo = decode_picture(task.read(PICTURE))
    prompt, negative = motion_prompt(Room(type=RoomType(task.parameters.get(ROOM, RoomType.UNKNOWN))))

    def progress(what: str) -> None:
        bench.stop_if_cancelled()
        bench.say(task, what)

    film = _filmed(AnimateRequest(photo, prompt, task.item.seed, 1, negative), animators, progress)
    progress("comparing the clip with the photo")
    verdict = judge_animation(photo, film.frames)
    animator, height, width = film.animator, *film.frames[0].shape[:2]
    operation = Operation(
        name=OperationName.ANIMATION,
        parameters={
            **({"prompt": prompt} if animator.takes_prompt else {}),
            "frames": len(film.frames),
            "fps": animator.fps,
            "size": [width, height],
            **({"passed_over": list(film.passed_over)} if film.passed_over else {}),
        },
        tool=animator.entry.id,
        version=VERSION,
        weights_sha256=animator.weights_sha256,
        seed=task.item.seed,
        generative=True,
    )
    record = {"verdict": verdict.model_dump(mode="json"), "operation": operation.model_dump(mode="json")}
    if verdict.outcome == "failed":
        return Made(outcome="refused", reason=f"{animator.entry.id}: {verdict.reason}", record=record)
    return Made(outputs={CLIP: _encoded(film.frames, animator.fps)}, record=record)


def _filmed(asked: AnimateRequest, animators: Sequence[Animator], progress: Callable[[str], None]) -> _Film:
    """Return the film of the first animator that makes one. Raises `ModelFailed` with every one's reason."""
    reasons: list[str] = []
    for animator in animators:

        def step(done: int, of: int, name: str = animator.entry.id) -> None:
            progress(f"{name}: step {done} of {of}")

        try:
            frames = animator.animate(replace(asked, frames=animator.frames), step)
            return _Film(frames, animator, tuple(reasons))
        except (ModelFailed, ModelMissing, BadWeights) as failed:
            reasons.append(f"{animator.entry.id}: {failed}")
    raise ModelFailed("; ".join(reasons))


def _encoded(frames: Sequence[Rgb], fps: int) -> bytes:
    with tempfile.TemporaryDirectory(prefix="clip-") as folder:
        path = Path(folder, CLIP)
        write_clip(frames, path, fps)
        return path.read_bytes()
