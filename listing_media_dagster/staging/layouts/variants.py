"""Choosing among good arrangements: the best first, then others that differ from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from listing_media_dagster.staging.layouts.main_piece import differ
from listing_media_dagster.staging.layouts.setting import Pose, Setting

NEARLY_AS_GOOD = 0.7  # of score below the best


class NoSpace(ValueError):
    """Nothing sensible fits into the room as far as the photo shows it; `str()` says why."""


@dataclass(frozen=True)
class Variant:
    """One way to furnish, with its score and where its main piece stands."""

    score: float
    setting: Setting
    pose: Pose


def take(variants: Sequence[Variant], seed: int) -> Setting:
    """Return the variant of a seed: 0 is the best, each next seed another that is nearly as good, then again."""
    ranked = sorted(variants, key=lambda variant: -variant.score)
    good = [variant for variant in ranked if variant.score > ranked[0].score - NEARLY_AS_GOOD]
    # Another place before another chair: first the best of every place, then the rest.
    leaders = [v for i, v in enumerate(good) if all(differ(v.pose, other.pose) for other in good[:i])]
    rest = [variant for variant in good if variant not in leaders]
    order = [*leaders, *rest]
    return order[seed % len(order)].setting
