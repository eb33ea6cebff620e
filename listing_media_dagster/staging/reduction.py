"""A window of a photo at a whole fraction of its size, and the way from there to the photo's pixels and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, sqrt

import cv2
import numpy as np

from listing_media_dagster.path_tracer.materials import Image
from listing_media_dagster.staging.render import Window
from listing_media_dagster.staging.room import PhotoCamera


@dataclass(frozen=True)
class Reduced:
    """Camera and window of a picture `times` smaller than the photo; each of its pixels is `times`² of the photo's."""

    camera: PhotoCamera
    window: Window
    times: int

    def enlarged(self, image: Image, window: Window, times: int = 1) -> Image:
        """Bring what the small window shows (h, w[, c]) to `window` of the picture `times` smaller than the photo."""
        factor = times / self.times
        if factor == 1 and window == self.window:
            return image
        # centres of pixels: (x_small + 0.5) * self.times = (x + 0.5) * times
        shift_x = (window.left + 0.5) * factor - 0.5 - self.window.left
        shift_y = (window.top + 0.5) * factor - 0.5 - self.window.top
        matrix = np.array([[factor, 0, shift_x], [0, factor, shift_y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        enlarged = cv2.warpAffine(image, matrix, window.size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(enlarged, np.float32)

    def shrunk(self, image: Image, window: Window) -> Image:
        """Average what the photo's `window` shows (h, w) within each pixel of the small one."""
        if self.times == 1:
            return image
        small, k = self.window, self.times
        before = (window.top - small.top * k, window.left - small.left * k)
        after = (small.bottom * k - window.bottom, small.right * k - window.right)
        padded = cv2.copyMakeBorder(image, before[0], after[0], before[1], after[1], cv2.BORDER_REPLICATE)
        return np.asarray(cv2.resize(padded, small.size, interpolation=cv2.INTER_AREA), np.float32)


def reduced(camera: PhotoCamera, window: Window, pixels: int) -> Reduced:
    """Return camera and window a whole number of times smaller, so that the window has at most about `pixels`."""
    times = max(1, ceil(sqrt(window.size[0] * window.size[1] / pixels)))
    small = Window(window.left // times, window.top // times, ceil(window.right / times), ceil(window.bottom / times))
    # the last pixels may reach beyond the photo, so that all are `times` of the photo's pixels wide
    size = (ceil(camera.size[0] / times), ceil(camera.size[1] / times))
    centre = (camera.centre[0] / times, camera.centre[1] / times)
    return Reduced(replace(camera, size=size, focal_px=camera.focal_px / times, centre=centre), small, times)
