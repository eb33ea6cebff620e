"""A ComfyUI graph with named places such as {{prompt}}, checked when it is read and filled in for each picture."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

PLACE = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
MANIFEST = "listing_media"
LARGEST_FILE = 4_000_000
SAVING_NODES = frozenset(
    {"SaveImage", "SaveVideo", "SaveWEBM", "SaveAnimatedWEBP", "SaveAnimatedPNG", "VHS_VideoCombine", "PreviewImage"}
)


class Task(StrEnum):
    """What a workflow does for us; each needs some places and may have others."""

    EDIT = "edit"
    ANIMATE = "animate"
    PRESENT = "present"


NEEDED = {
    Task.EDIT: frozenset({"image", "prompt", "seed"}),
    Task.ANIMATE: frozenset({"image", "prompt", "seed"}),
    Task.PRESENT: frozenset({"portrait", "script", "seed"}),
}
OPTIONAL = {
    Task.EDIT: frozenset({"mask", "start", "negative_prompt", "strength", "width", "height", "lora", "lora_strength"}),
    Task.ANIMATE: frozenset({"negative_prompt", "width", "height", "frames", "lora", "lora_strength"}),
    Task.PRESENT: frozenset({"prompt", "negative_prompt", "width", "height", "frames", "lora", "lora_strength"}),
}


class BadWorkflow(ValueError):
    """A workflow that can't be used; the message names the file, the node and the next step."""


@dataclass(frozen=True)
class Workflow:
    """A checked graph. `output` is the node whose files are the result; `sha256` names the graph in ledgers."""

    name: str
    task: Task
    graph: Mapping[str, Any] = field(repr=False)
    output: str
    sha256: str

    @property
    def places(self) -> frozenset[str]:
        return frozenset(name for _, text in _texts(self.graph) for name in PLACE.findall(text))

    def filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the graph with its places filled. A place that is all of an input keeps the value's own type.

        Raises `BadWorkflow` naming the places that `values` has nothing for.
        """
        missing = self.places - values.keys()
        if missing:
            raise BadWorkflow(f"the workflow {self.name} wants {_listed(missing)}, for which there is no value here")
        return {node_id: _filled(node, values) for node_id, node in self.graph.items()}


def shipped_workflows() -> dict[str, Task]:
    """Return the names of the workflows that come with the package, and what they are for."""
    folder = files(__package__).joinpath("workflows")
    names = sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))
    return {name: Task(json.loads(folder.joinpath(f"{name}.json").read_text())[MANIFEST]["task"]) for name in names}


def load_workflow(which: str, task: Task) -> Workflow:
    """Return the shipped workflow of that name, or the one in the file `which`. Raises `BadWorkflow`."""
    if which in shipped_workflows():
        text = files(__package__).joinpath("workflows", f"{which}.json").read_text(encoding="utf-8")
        return read_workflow(text, which, task)
    path = Path(which).expanduser()
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadWorkflow(f"{path} is larger than {LARGEST_FILE // 1_000_000} MB: is it a workflow?")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unread:
        raise BadWorkflow(
            f"{which!r} is no workflow file that can be read, and none of the shipped ones "
            f"({', '.join(shipped_workflows())}): {unread}"
        ) from unread
    return read_workflow(text, path.name, task)


def read_workflow(text: str, name: str, task: Task) -> Workflow:
    """Check the workflow written in `text`, as ComfyUI exports it for its API. Raises `BadWorkflow`."""
    try:
        graph = json.loads(text)
    except (ValueError, RecursionError) as broken:
        raise BadWorkflow(f"{name} isn't JSON: {broken}") from broken
    if not isinstance(graph, dict) or isinstance(graph.get("nodes"), list):
        raise BadWorkflow(f"{name} is the editor's format: export it in ComfyUI with 'Export (API)'")
    manifest = graph.pop(MANIFEST, {})
    if not isinstance(manifest, dict):
        raise BadWorkflow(f"{name}: {MANIFEST} has to be an object that names the task")
    if manifest and manifest.get("task") != task:
        raise BadWorkflow(f"{name} is for the task {manifest.get('task')!r}, not {task.value!r}")
    _check_nodes(graph, name)
    workflow = Workflow(name, task, graph, _output_of(graph, name), hashlib.sha256(text.encode()).hexdigest())
    unknown = workflow.places - NEEDED[task] - OPTIONAL[task]
    if unknown:
        known = _listed(NEEDED[task] | OPTIONAL[task])
        raise BadWorkflow(
            f"{name} has places nobody fills for the task {task.value!r}: {_listed(unknown)}; known: {known}"
        )
    absent = NEEDED[task] - workflow.places
    if absent:
        raise BadWorkflow(f"{name} has no place for {_listed(absent)}: put {{{{{min(absent)}}}}} where it belongs")
    return workflow


def _check_nodes(graph: Mapping[str, Any], name: str) -> None:
    if not graph:
        raise BadWorkflow(f"{name} has no nodes")
    for node_id, node in graph.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            raise BadWorkflow(f"{name}: node {node_id} has no class_type: export it in ComfyUI with 'Export (API)'")
        if not isinstance(node.get("inputs"), dict):
            raise BadWorkflow(f"{name}: node {node_id} ({node['class_type']}) has no inputs")
        for input_name, value in node["inputs"].items():
            is_link = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
            if is_link and value[0] not in graph:
                raise BadWorkflow(
                    f"{name}: {input_name} of node {node_id} comes from node {value[0]}, which isn't there"
                )


def _output_of(graph: Mapping[str, Any], name: str) -> str:
    titled = [node_id for node_id, node in graph.items() if title_of(node).lower() == "output"]
    saving = titled or [node_id for node_id, node in graph.items() if node["class_type"] in SAVING_NODES]
    if len(saving) != 1:
        found = "no node saves a result" if not saving else f"nodes {_listed(saving)} all save one"
        raise BadWorkflow(f"{name}: {found}; give the one whose file is wanted the title 'output'")
    return saving[0]


def title_of(node: Mapping[str, Any]) -> str:
    """Return the title that whoever made the workflow gave a node, "" if none."""
    about = node.get("_meta")
    return str(about.get("title") or "") if isinstance(about, dict) else ""


def _texts(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, f"{where}/{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, where)


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, values) for inner in value]
    if not isinstance(value, str):
        return value
    whole = PLACE.fullmatch(value.strip())
    # one pass: what is filled in is never searched for places again
    return values[whole[1]] if whole else PLACE.sub(lambda place: str(values[place[1]]), value)


def _listed(names: frozenset[str] | list[str]) -> str:
    return ", ".join(sorted(names))
