"""What the doctor found on one question: one answer, with the next step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """`level` "missing" with `required` means that a listing can't be made here."""

    what: str
    level: Literal["ok", "warn", "missing"]
    detail: str
    fix: str | None = None
    required: bool = False
