"""Pictures that travel with a job, decoded."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from listing_media_dagster.gpu.job import BadJob
from listing_media_dagster.photo.stored import decode_stored


def decode_picture(data: bytes, *, at_most: int | None = None) -> NDArray[np.uint8]:
    """Return a picture as uint8 (H, W, 3) sRGB. Raises `BadJob` if it is none.

    `at_most` px on the long edge lets the decoder skip work; the result may be up to twice as large.
    """
    try:
        decoded = decode_stored(data, Image.open(io.BytesIO(data)).size, at_most)
    except (OSError, Image.DecompressionBombError) as broken:
        raise BadJob("an input is no picture") from broken
    if decoded is None:
        raise BadJob("an input is no picture")
    return decoded
