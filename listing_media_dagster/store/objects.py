"""What can lie in a media store and under which names; both back ends and their callers share these words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

# S3 allows 1,024 bytes a key, common file systems 255 bytes a name.
MAX_KEY_BYTES = 1024
MAX_NAME_BYTES = 255
Names = list[str]  # stores have a method `list`, within which `list[str]` no longer means a type
PARTIAL_PREFIX = ".~"  # names of files that are still being written by a folder store


class StoreError(Exception):
    """The media store can't do what was asked; the message names the key or URL and the next step."""


class ObjectMissing(StoreError):
    """Nothing lies under that key."""


@dataclass(frozen=True)
class ListedObject:
    """An object as a listing of the store shows it.

    `etag` changes whenever the bytes do; it is no digest. `modified` is timezone-aware UTC.
    """

    key: str
    size: int
    etag: str | None
    modified: datetime


def key_problem(key: str) -> str | None:
    """Return why `key` can't name an object, or None. Whatever passes means the same on a folder and on S3."""
    segments = key.split("/")
    if key.startswith("/"):
        return "it starts with '/'"
    if "" in segments:
        return "it has an empty part (nothing between two '/', or a '/' at the end)"
    if "." in segments or ".." in segments:
        return "it has a '.' or '..' part"
    if "\\" in key:
        return "it has a backslash"
    if re.search(r"[\x00-\x1f\x7f]", key):
        return "it has a control character"
    try:
        longest = max(len(segment.encode()) for segment in segments)
    except UnicodeEncodeError:
        return "it isn't valid Unicode"
    if longest > MAX_NAME_BYTES or len(key.encode()) > MAX_KEY_BYTES:
        return f"it is too long (a name may have {MAX_NAME_BYTES} bytes, a key {MAX_KEY_BYTES})"
    if any(segment.startswith(PARTIAL_PREFIX) for segment in segments):
        return f"names starting with {PARTIAL_PREFIX!r} are kept for unfinished writes"
    return None


def check_key(key: str) -> str:
    """Return `key` if it may name an object in any store, else raise `StoreError`."""
    problem = key_problem(key)
    if problem is not None:
        raise StoreError(f"{key!r} can't be a key of the media store: {problem}; rename the file")
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix` if keys may start with it ("" and a '/' at the end are fine), else raise `StoreError`."""
    if prefix.strip("/"):
        check_key(prefix.removesuffix("/"))
    elif prefix:
        raise StoreError(f"{prefix!r} can't be a prefix of the media store: it starts with '/'")
    return prefix
