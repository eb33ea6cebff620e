"""YAML as people write it: no aliases, no deep nesting. A small file with either can take minutes or gigabytes."""

from __future__ import annotations

from typing import Any

import yaml

DEEPEST = 12
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads the eight kits in a tenth of the time


def read_plain_yaml(text: str | bytes) -> Any:
    """Return what `text` says. Raises ValueError for an alias or too deep a nesting, yaml.YAMLError for no YAML."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("uses a YAML alias (*); write the value out")
    return yaml.load(text, Loader=LOADER)  # noqa: S506 - libyaml's safe loader or its own
