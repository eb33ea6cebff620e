"""What this machine can run models on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Hardware:
    """One device. `vram_gb` and `free_vram_gb` are 0 without CUDA; `bf16` and `fp16` mean natively, not emulated."""

    device: Literal["cuda", "cpu"]
    name: str
    memory_gb: float
    vram_gb: float = 0.0
    free_vram_gb: float = 0.0
    compute_capability: tuple[int, int] | None = None
    bf16: bool = False
    fp16: bool = False
