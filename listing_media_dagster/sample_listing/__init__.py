"""The sample listing that the project ships: one made-up home, photographed in a path tracer (see README.md here)."""

from __future__ import annotations

from pathlib import Path


def sample_folder() -> Path:
    """The drop folder of the sample listing: photos as a photographer would deliver them, with listing.yaml."""
    return Path(__file__).with_name("drop")
