"""What is done when the device runs out of memory: smaller batches, then VAE tiles, then parts offloaded in turn.

What worked is remembered while the process lives, so that only the first picture of a size pays for finding out.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from listing_media_dagster.models.entry import CatalogueEntry
from listing_media_dagster.models.hardware import Hardware

LARGEST_BATCH = 8
# Beyond the first picture: activations with guidance in 16 bits, and nothing for the VAE, which takes one at a time.
_GB_PER_MEGAPIXEL = 2.0


@dataclass(frozen=True)
class MemoryPlan:
    """How many pictures go together, whether the VAE works in tiles, whether parts wait for their turn off the GPU."""

    batch: int = 1
    tiled: bool = False
    offloaded: bool = False

    def thriftier(self, *, can_offload: bool) -> MemoryPlan | None:
        """Return the next plan to try after running out of memory, None if there is none."""
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        if not self.tiled:
            return replace(self, tiled=True)
        if can_offload and not self.offloaded:
            return replace(self, offloaded=True)
        return None

    def __str__(self) -> str:
        ways = [f"{self.batch} pictures at a time" if self.batch > 1 else "one picture at a time"]
        ways += ["the VAE in tiles"] if self.tiled else []
        ways += ["parts offloaded"] if self.offloaded else []
        return ", ".join(ways)


def first_plan(entry: CatalogueEntry, hardware: Hardware, megapixels: float) -> MemoryPlan:
    """Return what should fit: on a GPU as many pictures as its free memory holds, on a CPU one at a time."""
    if hardware.device == "cpu" or entry.vram_gb is None:
        return MemoryPlan()
    spare_gb = hardware.free_vram_gb - entry.vram_gb.resident
    if spare_gb < 0:
        return MemoryPlan(offloaded=entry.vram_gb.offload is not None)
    return MemoryPlan(batch=max(1, min(LARGEST_BATCH, 1 + int(spare_gb / (_GB_PER_MEGAPIXEL * megapixels)))))


class RememberedPlans:
    """Where the ladder was last stepped down to, for each entry, device and size of picture."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, str, tuple[int, int]], MemoryPlan] = {}
        self._lock = threading.Lock()

    def get(self, entry_id: str, device: str, size: tuple[int, int]) -> MemoryPlan | None:
        with self._lock:
            return self._plans.get((entry_id, device, size))

    def remember(self, entry_id: str, device: str, size: tuple[int, int], plan: MemoryPlan) -> None:
        with self._lock:
            self._plans[(entry_id, device, size)] = plan

    def forget(self) -> None:
        with self._lock:
            self._plans.clear()


remembered_plans = RememberedPlans()
