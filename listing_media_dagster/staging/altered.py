"""What is made of a whole photo by a generative model, beside staging: the picture, its ledger entry, its verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from listing_media_dagster.listing import Operation, Verdict
from listing_media_dagster.models.model import ModelFailed
from listing_media_dagster.staging.arrays import Mask, Rgb
from listing_media_dagster.staging.room import NotARoom, Opening
from listing_media_dagster.staging.room_geometry import estimate_room_geometry
from listing_media_dagster.staging.seeds import FURTHER_SEEDS, Attempt
from listing_media_dagster.staging.structure_gate import judge_structure


class CannotAlter(ValueError):
    """The photo can't be altered as asked; `str()` says why, as a photographer would put it."""


@dataclass(frozen=True)
class AlteredPicture:
    """`rgb` is uint8 (H, W, 3) sRGB; the photo that it was made of stays its base. `attachments` are encoded files."""

    rgb: Rgb
    operations: tuple[Operation, ...]
    verdicts: tuple[Verdict, ...] = ()
    attachments: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def rejection(self) -> str | None:
        """Return why a gate rejects the picture, or None."""
        return next((verdict.reason for verdict in self.verdicts if verdict.outcome == "failed"), None)

    @property
    def score(self) -> float:
        return min((verdict.score or 0.0 for verdict in self.verdicts), default=0.0)


def alter_until_accepted(
    make: Callable[[int], AlteredPicture], first_seed: int
) -> tuple[AlteredPicture, tuple[Attempt, ...]]:
    """Return the first picture that no gate rejects, else the best of those made, and every attempt.

    `make` draws with a seed. Raises what it raises, `CannotAlter` or `ModelFailed`, if no picture was made before.
    """
    attempts: list[Attempt] = []
    best: AlteredPicture | None = None
    for seed in range(first_seed, first_seed + 1 + FURTHER_SEEDS):
        try:
            made = make(seed)
        except (CannotAlter, ModelFailed) as failed:
            if best is None and (isinstance(failed, ModelFailed) or seed == first_seed + FURTHER_SEEDS):
                raise
            attempts.append(Attempt(seed=seed, rejected=str(failed)))
            if isinstance(failed, ModelFailed):
                break
            continue
        attempts.append(Attempt(seed=seed, rejected=made.rejection))
        if best is None or (made.rejection is None, made.score) > (best.rejection is None, best.score):
            best = made
        if made.rejection is None:
            break
    assert best is not None  # noqa: S101 - otherwise the last failure was raised
    return best, tuple(attempts)


@dataclass(frozen=True)
class Architecture:
    """What the structure gate is told of a photo's room, as far as it can be made out."""

    openings: tuple[Opening, ...] = ()
    wall_edges: tuple[tuple[float, float, float, float], ...] = ()
    floor: Mask | None = None

    @classmethod
    def of(cls, base: Rgb) -> Architecture:
        try:
            geometry = estimate_room_geometry(base)
        except NotARoom:
            return cls()
        openings = tuple(opening for wall in geometry.walls for opening in wall.openings)
        return cls(openings, tuple(geometry.wall_edges()), geometry.floor)

    def judge(self, base: Rgb, altered: Rgb, mask: Mask, hidden: Mask, limits: Mapping[str, float]) -> Verdict:
        """Return the structure gate's verdict on what shows beside `hidden` within `mask`, both (H, W)."""
        return judge_structure(base, altered, mask, hidden, self.openings, self.wall_edges, self.floor, limits)
