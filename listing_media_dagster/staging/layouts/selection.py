"""The looks that one photo's room takes from its kit: the same pieces whatever the layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from listing_media_dagster.staging.arrangement import Size
from listing_media_dagster.staging.furniture.designs import Design
from listing_media_dagster.staging.kits import DesignKit, Furnishing, Look, Slot, choose_look


@dataclass(frozen=True)
class Selection:
    kit: DesignKit
    furnishing: Furnishing
    pieces_seed: int
    designs: Mapping[str, Design]

    def look(self, slot: Slot, index: int = 0) -> Look | None:
        """Return what fills `slot`, None if this room of the kit has no such slot."""
        if not self.kit.has(self.furnishing, slot):
            return None
        # STRICT LATER: the furniture library is still growing.
        choice = self.kit.choice(self.furnishing, slot)
        there = {name: own for name, own in (choice.designs or {}).items() if name in self.designs}
        if not there:
            return None
        room = self.kit.rooms[self.furnishing]
        room = room.model_copy(update={"pieces": {**room.pieces, slot: choice.model_copy(update={"designs": there})}})
        kit = self.kit.model_copy(update={"rooms": {**self.kit.rooms, self.furnishing: room}})
        return choose_look(kit, self.furnishing, slot, self.pieces_seed, self.designs, index)
        return choose_look(self.kit, self.furnishing, slot, self.pieces_seed, self.designs, index)

    def count(self, slot: Slot) -> int:
        return self.kit.choice(self.furnishing, slot).count if self.kit.has(self.furnishing, slot) else 0


def sized(look: Look, width: float | None = None, height: float | None = None, depth: float | None = None) -> Look:
    """Return `look` at another size, kept within what its design may be scaled to."""
    wanted = (width or look.size[0], height or look.size[1], depth or look.size[2])
    limits = zip(wanted, look.design.smallest, look.design.largest, strict=True)
    size: Size = tuple(min(max(side, low), high) for side, low, high in limits)  # type: ignore[assignment]
    return replace(look, size=size)
