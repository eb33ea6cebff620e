"""How a surface looks to the path tracer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """How a surface looks. `colour` is linear reflectance or a texture of it that repeats every `metres`."""

    colour: Colour | Image
    metres: float = 1.0
    gloss: float | None = None  # roughness of the varnish over the colour; None is matte
    coating: float = 1.0  # share of the varnish's reflections that is left: less where it is anti-reflective
    metal: bool = False
    relief: Image | None = None
    depth: float = 0.0  # m between relief 0 and 1
    sheen: float = 0.0  # how strongly fibres that stand up glow at grazing angles, 0..1
    clear: bool = False  # a thin pane that lets light through, tinted by `colour`
    translucent: float = 0.0  # share of the light that shines through thin parts: lampshades, leaves, sheer cloth
    opacity: Image | None = None  # (H, W) 0..1, cuts leaves and fringes out of flat parts
