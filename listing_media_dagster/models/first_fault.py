"""What is wrong with a file that somebody wrote or that was damaged, in one line: where in it, and what."""

from __future__ import annotations

from pydantic import ValidationError

_IN_WORDS = {
    "extra_forbidden": "isn't known here",
    "missing": "is missing",
    "tuple_type": "should be a list",
    "model_type": "should be a mapping",
    "dict_type": "should be a mapping",
}


def first_fault(error: ValidationError) -> str:
    """Return the first of the faults that `error` found: "models.0.parts: is missing"."""
    first = error.errors()[0]
    where = ".".join(str(step) for step in first["loc"]) or "the file"
    return f"{where}: {_IN_WORDS.get(first['type'], first['msg'].removeprefix('Value error, '))}"
