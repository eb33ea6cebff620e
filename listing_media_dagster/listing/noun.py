"""What every noun is, and the names and digests that nouns are made of."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

LISTING_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
ListingId = Annotated[str, StringConstraints(pattern=LISTING_ID_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class BadListing(ValueError):
    """A listing id or listing.yaml that can't be used; the message names the value and the next step."""


class Noun(BaseModel):
    # Models are built when first used: a decoder process needs few of them.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def is_listing_id(text: str) -> bool:
    return re.fullmatch(LISTING_ID_PATTERN, text) is not None


def check_listing_id(text: str) -> str:
    """Return `text` if it may name a listing (a partition, a folder, part of URLs), else raise `BadListing`."""
    if not is_listing_id(text):
        raise BadListing(
            f"{text!r} can't be a listing id: use 1 to 64 letters, digits, '-' or '_', starting with a letter or digit"
        )
    return text


def same_name(name: str) -> str:
    """Return the form in which file names are compared: a Mac hands 'ü' over as two signs, people type one."""
    return unicodedata.normalize("NFC", name)


FileName = Annotated[str, AfterValidator(same_name)]


def fingerprint(**what_made_it: Any) -> str:
    """Hash of everything that determines an output: input digests, parameters, code version, weights, seeds."""
    canonical = json.dumps(what_made_it, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
