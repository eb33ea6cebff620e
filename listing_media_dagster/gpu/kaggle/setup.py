"""Datasets that outlast a session: weights and wheels, uploaded once and attached to every session."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path

from listing_media_dagster.gpu.kaggle.cargo import write_dataset_metadata
from listing_media_dagster.gpu.kaggle.client import KaggleClient, KaggleError

LONGEST_SLUG = 50
READY_SECONDS = 3 * 3600.0


def dataset_slug(kind: str, name: str) -> str:
    """Return a name that Kaggle takes for a dataset (6 to 50 of a-z, 0-9, '-'), the same for the same thing."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"listing-media-{kind}-{name}".lower()).strip("-")
    if len(slug) <= LONGEST_SLUG:
        return slug
    return f"{slug[: LONGEST_SLUG - 7].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def push_dataset(
    client: KaggleClient,
    folder: Path,
    ref: str,
    say: Callable[[str], None],
    *,
    poll_seconds: float = 15.0,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Upload `folder` as the private dataset `ref`, or as its new version, and wait until it can be attached.

    Raises `KaggleError`.
    """
    write_dataset_metadata(folder, ref, ref.split("/")[1].replace("-", " "))
    if client.dataset_status(ref) is None:
        client.create_dataset(folder, ref)
    else:
        say(f"{ref} is there already: this becomes its new version")
        client.update_dataset(folder, "listing-media kaggle setup")
    until = time.monotonic() + READY_SECONDS
    while (status := client.dataset_status(ref)) != "READY":
        if status in ("FAILED", "DELETED") or time.monotonic() > until:
            raise KaggleError(f"Kaggle couldn't take {ref}: {status or 'it is gone'}", "refused")
        say(f"{ref}: {(status or 'not there yet').lower().replace('_', ' ')}")
        sleep(poll_seconds)
