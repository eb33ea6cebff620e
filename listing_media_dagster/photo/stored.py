"""Reading back the pictures that the pipeline itself wrote."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))


def decode_stored(data: bytes, size: tuple[int, int], at_most: int | None = None) -> NDArray[np.uint8] | None:
    """Return an encoded picture of `size` (width, height) as uint8 (H, W, 3) sRGB; None if it is no picture.

    `at_most` px on the long edge lets the decoder skip work; the result may be up to twice as large.
    """
    shrink = max(size) // at_most if at_most else 1
    flag = next((flag for factor, flag in _REDUCED if shrink >= factor), cv2.IMREAD_COLOR)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if decoded is None:
        return None
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=decoded).astype(np.uint8, copy=False)
