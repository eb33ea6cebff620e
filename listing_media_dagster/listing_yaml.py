"""Reads a drop's listing.yaml strictly: every mistake is an error that names the key and its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

import yaml
from pydantic import ValidationError

from listing_media_dagster.delivery.presets import PRESETS
from listing_media_dagster.gpu.routes.table import ROUTES
from listing_media_dagster.listing import BadListing, Listing

FILE_NAME = "listing.yaml"
MAX_BYTES = 64 * 1024

Path = tuple[str | int, ...]
"""Keys and places in lists that lead to a value."""


def parse_listing_yaml(text: bytes, listing_id: str) -> Listing:
    """Return the listing that `text` describes; `id` may be left out, and must be `listing_id` if it is there.

    Raises `BadListing` naming the line, the key and what would be right.
    """
    check_size(len(text))
    try:
        _refuse_aliases(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
            return Listing(id=listing_id)
        if not isinstance(root, yaml.MappingNode):
            raise BadListing(
                f"{FILE_NAME} line {_line(root)}: expected `key: value` lines such as `address: 12 Main St`"
            )
        _refuse_repeated_keys(root)
        values = yaml.SafeLoader("").construct_document(root)
    except yaml.YAMLError as broken:
        mark = getattr(broken, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = getattr(broken, "problem", None) or str(broken).splitlines()[0]
        raise BadListing(f"{FILE_NAME}{where}: not valid YAML ({problem})") from None
    except RecursionError:
        raise BadListing(f"{FILE_NAME}: nested too deeply") from None
    declared = values.setdefault("id", listing_id)
    if str(declared) != listing_id:
        raise BadListing(
            f"{FILE_NAME} line {_line(_find(root, ('id',)))}: id is {declared!r} but the drop is for listing"
            f" {listing_id!r}; remove the line or move the photos"
        )
    try:
        listing = Listing.model_validate({**values, "id": listing_id})
    except ValidationError as invalid:
        raise BadListing("; ".join(_explain(error, root) for error in invalid.errors())) from None
    _refuse_contradictions(listing, root)
    _refuse_unknown("outputs", listing.outputs or (), PRESETS, root)
    _refuse_unknown("routes", listing.routes or (), ROUTES, root)
    return listing


def check_size(size: int) -> None:
    """Raise `BadListing` for a file too large to be a listing.yaml, before anybody reads it."""
    if size > MAX_BYTES:
        raise BadListing(f"{FILE_NAME} is {size} bytes; {MAX_BYTES} are plenty. Is it the right file?")


def _refuse_aliases(text: bytes) -> None:
    """Aliases could make a small file expand without bound, and nobody needs them here."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise BadListing(f"{FILE_NAME} line {line}: aliases (*name) are not supported")


def _refuse_repeated_keys(node: yaml.Node | None) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise BadListing(f"{FILE_NAME} line {_line(key)}: a key must be plain text")
            if key.value in seen:
                raise BadListing(f"{FILE_NAME} line {_line(key)}: {key.value!r} is given twice")
            seen.add(str(key.value))
            _refuse_repeated_keys(value)


def _refuse_unknown(key: str, names: Iterable[str], known: Iterable[str], root: yaml.MappingNode) -> None:
    """Told here rather than by the stage that would use the name, when all the work before it is done."""
    for at, name in enumerate(names):
        if name not in known:
            line = _line(_find(root, (key, at)))
            raise BadListing(f"{FILE_NAME} line {line}: {key}: {name!r} is unknown; there is {', '.join(known)}")


def _refuse_contradictions(listing: Listing, root: yaml.MappingNode) -> None:
    """Whoever says two things of one photo is told so: either might be the mistake."""
    stage = listing.stage
    out: dict[str, Path] = {name: ("exclude", at) for at, name in enumerate(listing.exclude)}
    out |= {name: ("stage", "exclude", at) for at, name in enumerate(stage.exclude)}
    wanted: list[tuple[str, Path]] = [(name, ("stage", "include", at)) for at, name in enumerate(stage.include)]
    wanted += [(name, ("stage", "kits", name)) for name in stage.kits]
    for name, path in wanted:
        if name in out:
            raise _contradiction(name, path, out[name], "take it out of one", root)
    rooms: dict[str, Path] = {}
    for group, names in enumerate(stage.same_room):
        for at, name in enumerate(dict.fromkeys(names)):
            here: Path = ("stage", "same_room", group, at)
            if name in rooms:
                raise _contradiction(name, here, rooms[name], "a photo shows one room: join the groups", root)
            rooms[name] = here


def _contradiction(name: str, here: Path, there: Path, remedy: str, root: yaml.MappingNode) -> BadListing:
    key, other = (".".join(part for part in path[:2] if isinstance(part, str)) for path in (here, there))
    keys = f"two groups of {key}" if key == other else f"both {key} and {other}"
    lines = f"lines {_line(_find(root, there))} and {_line(_find(root, here))}"
    return BadListing(f"{FILE_NAME} {lines}: {name!r} is in {keys}; {remedy}")


def _explain(error: Any, root: yaml.MappingNode) -> str:
    path = tuple(part for part in error["loc"] if isinstance(part, (str, int)))
    line = _line(_find(root, path))
    name = ".".join(str(part) for part in path)
    if error["type"] == "extra_forbidden":
        return f"{FILE_NAME} line {line}: unknown key {name!r}{_did_you_mean(path)}"
    given = "" if isinstance(error["input"], (dict, list)) else f" (given: {error['input']!r})"
    if error["type"] in ("enum", "literal_error"):
        known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        near = difflib.get_close_matches(re.sub(r"[\s-]+", "_", str(error["input"]).strip().lower()), known, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(known)}"
        return f"{FILE_NAME} line {line}: {name}: {error['input']!r} is unknown{meant}"
    return f"{FILE_NAME} line {line}: {name}: {error['msg']}{given}"


def _did_you_mean(path: Path) -> str:
    model: Any = Listing
    for part in path[:-1]:
        field = model.model_fields.get(str(part)) if hasattr(model, "model_fields") else None
        model = field.annotation if field else None
    known = sorted(getattr(model, "model_fields", {}))
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}"


def _find(node: yaml.Node, path: Path) -> yaml.Node:
    """Return the key or item node at `path`, or the nearest one above it."""
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if str(key.value) == str(part)), None)
            if pair is None:
                return node
            node = pair[0] if part == path[-1] else pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
    return node


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
