"""Which models a job names: every one that may do a stage's work on a machine it may go to, best first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from listing_media_dagster.models.choose import Choice, choose
from listing_media_dagster.models.entry import CatalogueEntry, Stage
from listing_media_dagster.models.hardware import Hardware

AUTO, NONE = "auto", "none"
ANY_GPU = Hardware("cuda", "a GPU elsewhere", 1024, 1024, 1024, (10, 0), bf16=True, fp16=True)
"""Stands for machines that nobody here can look at: the worker there passes over what doesn't fit."""

_COMMON_GPU = Hardware("cuda", "a common GPU", 16, 16, 14.5, (7, 5), fp16=True)  # a T4: what a pull is advised for
# No diffusion: a CPU does them in seconds, at most a minute a picture.
_LIGHT = frozenset({Stage.UPSCALE, Stage.DEPTH, Stage.SEGMENTATION, Stage.FACES, Stage.CLIP_SCORES})


class BadWishes(ValueError):
    """What was said of the models to use can't be met by any installation; the message says what would be right."""


@dataclass(frozen=True)
class Shortlist:
    """The models for `stage`, best first, and why others aren't among them. `refusal` says why there is none.

    `on_cpu` allows minutes a picture on a CPU, which only naming a model does.
    """

    stage: Stage
    entries: tuple[CatalogueEntry, ...]
    reasons: Mapping[str, str]
    on_cpu: bool = False
    refusal: str = ""

    def describe(self) -> str:
        chosen = ", then ".join(entry.id for entry in self.entries) or "no model"
        others = "; ".join(f"{model_id}: {reason}" for model_id, reason in self.reasons.items())
        return f"{self.stage}: {chosen}" + (f". Not {others}" if others else "")


def read_wishes(said: str, entries: Sequence[CatalogueEntry]) -> dict[Stage, str]:
    """Return what `said` ("staging=sd15-inpaint, animation=none") wants for each stage that it names.

    Raises `BadWishes` for a stage that there isn't, or a model that isn't one of its.
    """
    wishes: dict[Stage, str] = {}
    for part in filter(None, (part.strip() for part in said.split(","))):
        name, _, model = (word.strip() for word in part.partition("="))
        if name not in set(Stage):
            raise BadWishes(f"{part!r}: write STAGE=MODEL, with one of the stages {', '.join(Stage)}")
        stage = Stage(name)
        known = [AUTO, NONE, *(entry.id for entry in entries if stage in entry.stages)]
        if model not in known:
            raise BadWishes(f"{part!r}: for {name} there is {', '.join(known)}")
        wishes[stage] = model
    return wishes


def shortlist(
    stage: Stage,
    machines: Sequence[Hardware],
    *,
    entries: Sequence[CatalogueEntry],
    here: Collection[str],
    elsewhere: bool = False,
    wish: str = AUTO,
    allowed_licences: Collection[str] = (),
    test_weights: bool = False,
) -> Shortlist:
    """Return the models for `stage` on any of `machines`, or `elsewhere` as well: on machines that can't be looked at.

    `here` holds the ids of those whose weights are on this machine; a model that was named (`wish`) is also asked for
    elsewhere without. Of several machines, the models for the first one come first.
    """
    if wish == NONE:
        return Shortlist(stage, (), {}, refusal=f"{stage}={NONE} is set, so no model does it")
    only = None if wish == AUTO else wish
    on_cpu = only is not None or stage in _LIGHT

    def chosen(machine: Hardware, weights: Collection[str] | None, *, slow_cpu: bool = on_cpu) -> Choice:
        return choose(
            stage,
            machine,
            entries=entries,
            here=weights,
            allowed_licences=allowed_licences,
            slow_cpu=slow_cpu,
            test_weights=test_weights,
            only=only,
        )

    choices = [chosen(machine, here) for machine in machines]
    if elsewhere:
        choices.append(chosen(ANY_GPU, None if only else here))
    found = tuple({option.entry.id: option.entry for choice in choices for option in choice.options}.values())
    listed = {entry.id for entry in found}
    # The first machine is the one that was meant to do it: its reasons count.
    reasons = {
        model_id: reason
        for choice in reversed(choices)
        for model_id, reason in choice.reasons.items()
        if model_id not in listed
    }
    if found:
        return Shortlist(stage, found, reasons, on_cpu)
    devices = [*machines, *([_COMMON_GPU] if elsewhere else [])]
    pulled = [chosen(machine, None) for machine in devices]
    patient = [chosen(machine, None, slow_cpu=True) for machine in devices]
    return Shortlist(stage, (), reasons, on_cpu, _refusal(stage, pulled, patient))


def _refusal(stage: Stage, pulled: Sequence[Choice], patient: Sequence[Choice]) -> str:
    """Say what to do so that there is a model, or why nothing helps.

    By what would be chosen on each machine if all weights were here (`pulled`), and if a CPU had time, too.
    """
    fitting = next((choice.entry for choice in pulled if choice.entry), None)
    if fitting is not None:
        return f"the weights of {fitting.id} aren't here: {fitting.how_to_get}"
    slow = next((choice.entry for choice in patient if choice.entry), None)
    if slow is not None:
        minutes = f"{(slow.cpu_seconds or 0) / 60:.1f} minutes a picture"
        return (
            f"no model for {stage} fits a device here; {slow.id} would take {minutes} on the CPU: "
            f"LISTING_MEDIA_MODELS={stage}={slow.id} asks for it, `{slow.pull_command}` fetches it"
        )
    why = "; ".join(f"{model_id}: {reason}" for choice in patient[:1] for model_id, reason in choice.reasons.items())
    return f"no model for {stage} runs here: {why or 'no machine to run one was found'}"
