"""Names for the arrays that staging passes around."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]  # (H, W, 3) sRGB
Image = NDArray[np.float32]  # (H, W) or (H, W, 3), linear light unless said otherwise
Mask = NDArray[np.bool_]  # (H, W)
Planes = NDArray[np.int8]  # (H, W): which of `scene.StandIn.planes` a pixel shows
Floats = NDArray[np.float64]
