"""The looks that one photo's room takes from its kit: the same pieces whatever the layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design
from listing_media_dagster.staging.kits import DesignKit, Furnishing, Look, Slot, choose_look


@dataclass(frozen=True)
class Selection:
    """What one room may hold. `left_out` are the optional slots that this layout does without."""

    kit: DesignKit
    furnishing: Furnishing
    pieces_seed: int
    designs: Mapping[str, Design]
    left_out: frozenset[Slot] = frozenset()

    def look(self, slot: Slot, index: int = 0) -> Look | None:
        """Return what fills `slot`, None if this room has no such slot."""
        if slot in self.left_out or not self.kit.has(self.furnishing, slot):
            return None
        return choose_look(self.kit, self.furnishing, slot, self.pieces_seed, self.designs, index)

    def count(self, slot: Slot) -> int:
        """Return how many pieces a slot holds at most."""
        return self.kit.choice(self.furnishing, slot).count if self.look(slot) else 0


def optional_left_out(kit: DesignKit, furnishing: Furnishing, seed: int) -> frozenset[Slot]:
    """Return which optional slots the layout of `seed` does without: none for 0, each other seed its own."""
    optional = [slot for slot in kit.rooms[furnishing].pieces if kit.choice(furnishing, slot).optional] if seed else []
    rng = np.random.default_rng(seed)
    return frozenset(slot for slot in optional if rng.random() < 0.5)


def sized(look: Look, width: float | None = None, height: float | None = None, depth: float | None = None) -> Look:
    """Return `look` at another size, kept within what its design may be scaled to."""
    wanted = (width or look.size[0], height or look.size[1], depth or look.size[2])
    limits = zip(wanted, look.design.smallest, look.design.largest, strict=True)
    size: Size = tuple(min(max(side, low), high) for side, low, high in limits)  # type: ignore[assignment]
    return replace(look, size=size)
