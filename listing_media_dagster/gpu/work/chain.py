"""Chains: what is to be done to photos in turn, worked off step by step as the jobs that the steps are.

Each step is a job folder of its own inside the chain's: it is batched, resumed and cancelled as any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from listing_media_dagster.gpu.job import ItemResult, JobFile, JobFolder
from listing_media_dagster.gpu.routes.route import JobCancelled, Listener
from listing_media_dagster.gpu.work.bench import Bench, Made, Task
from listing_media_dagster.gpu.work.chain_order import LOOKED_AT_PX, TURNS, Step, Way, output_role, steps_of
from listing_media_dagster.gpu.work.models import NoModelHere
from listing_media_dagster.gpu.work.pictures import decode_picture
from listing_media_dagster.staging import suitability


def work_off_chain(tasks: Sequence[Task], bench: Bench) -> Iterator[Made]:
    """Yield what became of each photo, all its turns together; a turn that fails is recorded as that.

    Raises `NoModelHere` if that is why nothing at all could be done.
    """
    photos = [_Photo.of(task) for task in tasks]
    for number, step in enumerate(steps_of(tasks[0].job)):
        _do(number, step, photos, bench)
    results = [result for photo in photos for _, result in photo.turns.values()]
    if results and all(result.lacks_models for result in results):
        raise NoModelHere("; ".join(dict.fromkeys(result.reason for result in results)))
    for photo in photos:
        yield photo.made()


@dataclass
class _Photo:
    """A photo on its way; `at` is the folder that its picture is read from."""

    task: Task
    way: Way
    at: JobFolder
    turns: dict[int, tuple[JobFolder, ItemResult]] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task) -> _Photo:
        return cls(task, Way.of(task.item), task.folder)

    def may_go(self, number: int) -> bool:
        """Look, where a turn is for empty rooms only, whether the picture by now shows one."""
        if not self.way.needs_emptiness(number):
            return True
        picture = decode_picture(self.at.read(self.way.picture), at_most=LOOKED_AT_PX)
        return suitability.judge_suitability(picture).refusal is None

    def went(self, number: int, step: Step, folder: JobFolder, result: ItemResult) -> None:
        before: JobFile = self.way.picture
        self.way.went(step, result)
        self.turns[number] = (folder, result)
        if self.way.picture is not before:
            self.at = folder

    def made(self) -> Made:
        outputs = {
            output_role(number, role): folder.read(file)
            for number, (folder, result) in self.turns.items()
            for role, file in result.outputs.items()
        }
        said = {str(number): result.model_dump(mode="json") for number, (_, result) in self.turns.items()}
        return Made(outputs=outputs, record={TURNS: said})


def _do(number: int, step: Step, photos: Sequence[_Photo], bench: Bench) -> None:
    """Take the photos through one step: a job for each chain that they are of, worked off together."""
    from listing_media_dagster.gpu.worker import Assignment, work_off

    items = [(photo, item) for photo in photos if (item := photo.way.turn(number, step)) and photo.may_go(number)]
    assignments = {}
    for path in dict.fromkeys(photo.task.folder.path for photo, _ in items):
        own = [(photo, item) for photo, item in items if photo.task.folder.path == path]
        chain = own[0][0].task
        job = step.job(f"{chain.job.id[:70]}-{number}", [item for _, item in own])
        files = {file.path: chain.folder.read(file) for file in step.inputs.values()}
        files |= {item.inputs[step.takes].path: photo.at.read(photo.way.picture) for photo, item in own}
        folder = JobFolder.create(path / "steps" / str(number), job, files)
        assignments[path] = Assignment(folder, _listener([photo for photo, _ in own], bench))
    if work_off(list(assignments.values()), bench):
        raise JobCancelled
    for photo, item in items:
        folder = assignments[photo.task.folder.path].folder
        result = folder.result_of(item.id)
        assert result is not None  # noqa: S101 - the job is finished
        photo.went(number, step, folder, result)


def _listener(photos: Sequence[_Photo], bench: Bench) -> Listener:
    """Let a step tell of its items as the chain's, and be cancelled when the chain is."""
    tasks = {photo.task.item.id: photo.task for photo in photos}

    def say(line: str) -> None:
        name, _, what = line.partition(": ")
        bench.say(tasks[name], what)

    def is_cancelled() -> bool:
        try:
            bench.stop_if_cancelled()
        except JobCancelled:
            return True
        return False

    return Listener(say=say, is_cancelled=is_cancelled)
