"""A chain: jobs that follow one another on the same photos, as one job that one machine works off. Light to import.

Where a machine takes minutes to start, what is likely to be wanted of a photo next is done while it is there. Each turn
of a photo has the very `item_key` that it has in a job of its own, so its result can be used for that one later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, ValidationError

from listing_media_dagster.gpu.job import BadJob, Item, ItemResult, JobFile, ModelJob, ModelRef, Needs, Role, WorkKind
from listing_media_dagster.gpu.work.staging_order import BASE, STAGED
from listing_media_dagster.listing import Noun

PICTURE = "picture"
TURNS, STEPS = "turns", "steps"
_GIVEN_ON = (STAGED, "altered.jpg", "enhanced.jpg")
"""Outputs that are the photo from then on."""
LOOKED_AT_PX = 800
"""Long edge of the pictures in which staging looks for empty rooms."""
_MORE_GPU = ("none", "optional", "required")


class Step(Noun):
    """What one of a chain's jobs says for all its items.

    With `staged` it is for those photos only that are staged by then, or only for those that aren't. `told` names
    parameters of its items that the record of their staging says.
    """

    kind: WorkKind
    model: ModelRef | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[Role, JobFile] = Field(default_factory=dict)
    needs: Needs = Needs()
    staged: bool | None = None
    told: tuple[str, ...] = ()

    @property
    def takes(self) -> Role:
        """The input under which an item of this kind has its photo."""
        return BASE if self.kind is WorkKind.STAGE else PICTURE

    def job(self, job_id: str, items: Sequence[Item]) -> ModelJob:
        return ModelJob(
            id=job_id,
            kind=self.kind,
            model=self.model,
            parameters=self.parameters,
            inputs=self.inputs,
            items=tuple(items),
            needs=self.needs,
        )


class Turn(Noun):
    """What a photo's item says at a step. `if_empty`: it is left out where the picture by then shows no empty room."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    if_empty: bool = False


@dataclass(frozen=True)
class Link:
    """A job of a chain; `staged` and `told` are those of its `Step`, `if_empty` are the items of which that holds."""

    job: ModelJob
    staged: bool | None = None
    told: tuple[str, ...] = ()
    if_empty: frozenset[str] = frozenset()


def chain_of(links: Sequence[Link]) -> ModelJob:
    """Return the jobs of `links`, in that order, as one job with an item for each photo that is in any of them.

    Items of one id are the same photo: each has one input, and has it as it is before the chain.
    """
    turns: dict[str, dict[str, Any]] = {}
    photos: dict[str, JobFile] = {}
    for number, link in enumerate(links):
        for item in link.job.items:
            (photo,) = item.inputs.values()
            if photos.setdefault(item.id, photo) != photo:
                raise ValueError(f"the jobs of a chain have different pictures of {item.id}")
            turn = Turn(parameters=item.parameters, seed=item.seed, if_empty=item.id in link.if_empty)
            turns.setdefault(item.id, {})[str(number)] = turn.model_dump(mode="json")
    steps = [_step(link) for link in links]
    shared = {f"{number}-{role}": file for number, step in enumerate(steps) for role, file in step.inputs.items()}
    return ModelJob(
        id="unnamed",
        kind=WorkKind.CHAIN,
        parameters={STEPS: [step.model_dump(mode="json") for step in steps]},
        inputs=shared,
        items=tuple(
            Item(id=name, inputs={PICTURE: photos[name]}, parameters={TURNS: of}) for name, of in turns.items()
        ),
        needs=_together([step.needs for step in steps]),
    )


def steps_of(job: ModelJob) -> tuple[Step, ...]:
    """Return the steps of a chain; any other job is a single one."""
    if job.kind is not WorkKind.CHAIN:
        return (_step(Link(job)),)
    return tuple(Step.model_validate(step) for step in job.parameters[STEPS])


def _step(link: Link) -> Step:
    job = link.job
    return Step(
        kind=job.kind,
        model=job.model,
        parameters=job.parameters,
        inputs=job.inputs,
        needs=job.needs,
        staged=link.staged,
        told=link.told,
    )


def _together(needs: Sequence[Needs]) -> Needs:
    return Needs(
        gpu=max((each.gpu for each in needs), key=_MORE_GPU.index),
        vram_gb=max(each.vram_gb for each in needs),
        slow_cpu=any(each.slow_cpu for each in needs),
    )


@dataclass
class Way:
    """One photo's way through a chain: `picture` is the photo as it is by then.

    An item that is refused, or whose picture was rejected, leaves the photo as it was; one that fails ends the way, and
    so does staging that was rejected, since nothing is done to such a picture.
    """

    item: Item
    picture: JobFile
    staging: ItemResult | None = None
    is_over: bool = False

    @classmethod
    def of(cls, item: Item) -> Way:
        return cls(item, item.inputs[PICTURE])

    def turn(self, number: int, step: Step) -> Item | None:
        """Return the photo's item at that step, as a job of its own has it; None if the step isn't for it."""
        said = self.item.parameters[TURNS].get(str(number))
        is_staged = self.staging is not None and self.staging.outcome == "ok"
        if said is None or self.is_over or step.staged not in (None, is_staged):
            return None
        turn = Turn.model_validate(said)
        record = self.staging.record if self.staging else {}
        told = {name: record[name] for name in step.told}
        picture = self.picture.model_copy(update={"path": f"inputs/{self.item.id}.jpg"})
        return Item(
            id=self.item.id, inputs={step.takes: picture}, parameters={**turn.parameters, **told}, seed=turn.seed
        )

    def needs_emptiness(self, number: int) -> bool:
        """Tell whether the photo's turn at a step is for empty rooms only."""
        return Turn.model_validate(self.item.parameters[TURNS][str(number)]).if_empty

    def went(self, step: Step, result: ItemResult) -> None:
        """Note what became of the photo's item at that step."""
        is_rejected = any(verdict["outcome"] == "failed" for verdict in result.record.get("verdicts", ()))
        if step.kind is WorkKind.STAGE:
            self.staging = result
        if result.outcome == "failed" or (is_rejected and step.kind is WorkKind.STAGE):
            self.is_over = True
        elif result.outcome == "ok" and not is_rejected:
            given = [result.outputs[role] for role in _GIVEN_ON if role in result.outputs]
            self.picture = given[0] if given else self.picture


@dataclass(frozen=True)
class TurnDone:
    """What a chain gave at one turn of a photo: `result` as a job of its own would give it, for `key`.

    `roles` are its outputs' names among those of the chain's item.
    """

    key: str
    result: ItemResult
    roles: Mapping[Role, Role] = field(default_factory=dict)


def turns_done(job: ModelJob, result: ItemResult) -> Iterator[TurnDone]:
    """Yield the answers that the chain `job` got at each turn of one of its items.

    Every key is worked out here from what was asked and from the pictures that came back. Raises `BadJob` if they
    don't agree with what the machine says it did.
    """
    way = Way.of(next(item for item in job.items if item.id == result.item_id))
    for number, step in enumerate(steps_of(job)):
        try:
            item = way.turn(number, step)
            if item is None or (way.needs_emptiness(number) and str(number) not in result.record[TURNS]):
                continue
            turn = ItemResult.model_validate(result.record[TURNS][str(number)])
            way.went(step, turn)
        except (KeyError, TypeError, ValidationError) as wrong:
            raise BadJob(f"item {result.item_id} of job {job.id}: its record of step {number} is none") from wrong
        roles = {role: output_role(number, role) for role in turn.outputs}
        came = {role: result.outputs[name].sha256 for role, name in roles.items() if name in result.outputs}
        key = step.job("turn", [item]).item_key(item)
        if turn.key != key or came != {role: file.sha256 for role, file in turn.outputs.items()}:
            raise BadJob(f"item {item.id} of job {job.id}: what is said of its {step.kind} isn't about what came back")
        if turn.outcome != "failed":
            yield TurnDone(key, turn, roles)


def first_key(job: ModelJob, item: Item) -> str:
    """Return the key of the first turn of one of a chain's items."""
    way, steps = Way.of(item), steps_of(job)
    turns = ((step, way.turn(number, step)) for number, step in enumerate(steps))
    step, first = next((step, first) for step, first in turns if first)
    return step.job("turn", [first]).item_key(first)


def items_by_step(job: ModelJob) -> list[tuple[Step, int]]:
    """Return the job's steps that are of use, each with the number of items that may go through it."""
    if job.kind is not WorkKind.CHAIN:
        return [(step, len(job.items)) for step in steps_of(job)]
    turns = Counter(number for item in job.items for number in item.parameters[TURNS])
    return [(step, turns[str(number)]) for number, step in enumerate(steps_of(job)) if turns[str(number)]]


def output_role(number: int, role: Role) -> Role:
    """Return what a chain's item calls the output `role` of its step of that number."""
    return f"{number}-{role}"
