"""From a photo to the frames of its shot: a plate is the photo made ready to be sampled at fractions of a pixel.

Reading a crop straight from the photo shimmers (finer detail than the frame can hold) or breathes (interpolation that
is sharp on whole pixels and soft between them). A plate is limited to the detail the frame can hold and then stored at
twice that density, where plain linear sampling is even at every phase. It is kept as BT.709 limited-range YCbCr
planes, so that no colour conversion is left to do per frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from listing_media_dagster.tour.camera import CameraPath, Crop, Mat

Plane = NDArray[np.uint8]
OVERSAMPLING = 2.0

# ITU-R BT.709-6, table 3, 8-bit limited range, from full-range R'G'B'.
TO_YCBCR = np.array(
    [
        [0.2126 * 219 / 255, 0.7152 * 219 / 255, 0.0722 * 219 / 255, 16.0],
        [-0.2126 / 1.8556 * 224 / 255, -0.7152 / 1.8556 * 224 / 255, 0.9278 / 1.8556 * 224 / 255, 128.0],
        [0.7874 / 1.5748 * 224 / 255, -0.7152 / 1.5748 * 224 / 255, -0.0722 / 1.5748 * 224 / 255, 128.0],
    ]
)


@dataclass(frozen=True)
class Plate:
    """YCbCr planes (uint8, BT.709 limited range) of the part `region` of a photo; chroma has its own, smaller grid."""

    y: Plane
    cb: Plane
    cr: Plane
    region: Crop


@dataclass(frozen=True)
class Frame:
    """Views into one yuv420p picture: `packed` uint8 (H * 3 / 2, W) holds y (H, W), then cb and cr (H / 2, W / 2)."""

    packed: NDArray[np.uint8]
    y: Plane
    cb: Plane
    cr: Plane


def new_frame(size: tuple[int, int]) -> Frame:
    """Return a black frame of `size` (width, height) px, both even."""
    width, height = size
    packed = np.empty((height * 3 // 2, width), np.uint8)
    flat, luma, chroma = packed.reshape(-1), width * height, width * height // 4
    y = flat[:luma].reshape(height, width)
    cb = flat[luma : luma + chroma].reshape(height // 2, width // 2)
    cr = flat[luma + chroma :].reshape(height // 2, width // 2)
    y[:], cb[:], cr[:] = 16, 128, 128
    return Frame(packed, y, cb, cr)


def prepare_plate(rgb: NDArray[np.uint8], path: CameraPath, mat: Mat) -> Plate:
    """Make `rgb` (uint8 (H, W, 3), sRGB) ready for the crops of `path`, to be shown in `mat`."""
    region = _region_of(path, rgb.shape[1], rgb.shape[0])
    x, y, width, height = (int(side) for side in (region.x, region.y, region.width, region.height))
    part = rgb[y : y + height, x : x + width]
    scale = mat.width / math.sqrt(path.start.width * path.end.width)  # frame px per photo px, halfway through a zoom
    if scale < 1.0:
        part = _reduced(part, (max(2, round(width * scale)), max(2, round(height * scale))))
    planes = [np.asarray(plane, dtype=np.uint8) for plane in cv2.split(cv2.transform(part, TO_YCBCR))]
    density = OVERSAMPLING * max(scale, 1.0)
    # What linear sampling and enlargement take from the finest detail is given back here, gently.
    luma = _sharpened(_enlarged(planes[0], density), sigma=0.9 * density, amount=0.35 if scale < 1.0 else 0.5)
    cb, cr = (_enlarged(_blurred(plane, 0.8), density / 2) for plane in planes[1:])
    return Plate(luma, cb, cr, region)


def sample(plate: Plate, crop: Crop, frame: Frame, mat: Mat) -> None:
    """Draw `crop` of the plate's photo into the part `mat` of `frame`, exact to a fraction of a pixel."""
    columns, rows = slice(mat.x, mat.x + mat.width), slice(mat.y, mat.y + mat.height)
    half_columns = slice(mat.x // 2, (mat.x + mat.width) // 2)
    half_rows = slice(mat.y // 2, (mat.y + mat.height) // 2)
    across, down = crop.width / mat.width, crop.height / mat.height
    _draw(plate.y, plate.region, frame.y[rows, columns], crop.x + across / 2, crop.y + down / 2, across, down)
    # H.264's chroma samples sit on the left luma pixel of their pair, halfway between its two rows.
    for plane, target in ((plate.cb, frame.cb), (plate.cr, frame.cr)):
        _draw(
            plane,
            plate.region,
            target[half_rows, half_columns],
            crop.x + across / 2,
            crop.y + down,
            2 * across,
            2 * down,
        )


def backdrop_plate(plate: Plate, crop: Crop, *, brightness: float, blur: float = 0.016) -> Plate:
    """Return `crop` of the plate's photo far out of focus, darkened to `brightness` (0..1), on a coarse grid.

    `blur` is the Gaussian's sigma in widths of the crop.
    """
    coarse = Mat(0, 0, 2 * round(120 * crop.width / math.sqrt(crop.width * crop.height)), 0)
    coarse = Mat(0, 0, coarse.width, 2 * round(coarse.width * crop.height / crop.width / 2))
    picture = _cut_out(plate, crop, (coarse.width, coarse.height))
    blurred = [_blurred(plane, coarse.width * blur) for plane in picture]
    y = np.clip(16.0 + (blurred[0] - 16.0) * brightness, 16, 235).astype(np.uint8)
    cb, cr = (np.clip(128.0 + (plane - 128.0) * brightness, 16, 240).astype(np.uint8) for plane in blurred[1:])
    return Plate(y, cb, cr, crop)


def rgb_of(frame: Frame) -> NDArray[np.uint8]:
    """Return the frame as uint8 (H, W, 3), sRGB."""
    height, width = frame.y.shape
    chroma = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in (frame.cb, frame.cr)]
    back = np.linalg.inv(TO_YCBCR[:, :3])
    offset = -back @ TO_YCBCR[:, 3]
    return np.asarray(cv2.transform(cv2.merge([frame.y, *chroma]), np.column_stack([back, offset])), dtype=np.uint8)


def _region_of(path: CameraPath, width: int, height: int) -> Crop:
    """Return the whole pixels of the photo that the path ever shows, with a margin for interpolation."""
    crops, margin = (path.start, path.end), 4
    left = max(0, math.floor(min(crop.x for crop in crops)) - margin)
    top = max(0, math.floor(min(crop.y for crop in crops)) - margin)
    right = min(width, math.ceil(max(crop.x + crop.width for crop in crops)) + margin)
    bottom = min(height, math.ceil(max(crop.y + crop.height for crop in crops)) + margin)
    return Crop(left, top, right - left, bottom - top)


def _reduced(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Shrink without leaving detail finer than the new grid; whole-number averaging first keeps huge photos cheap."""
    factor = min(rgb.shape[1] // size[0], rgb.shape[0] // size[1]) // 3
    if factor >= 2:
        coarse = (rgb.shape[1] // factor, rgb.shape[0] // factor)
        rgb = np.asarray(cv2.resize(rgb, coarse, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).resize(size, Image.Resampling.LANCZOS))


def _enlarged(plane: Plane, factor: float) -> Plane:
    # Pillow's bicubic (a = -0.5) keeps straight slopes straight. OpenCV's (a = -0.75) doesn't: it shifts every second
    # sample by 0.05 px, which a slow pan shows as a tremble of 0.08 px from frame to frame.
    size = (max(2, round(plane.shape[1] * factor)), max(2, round(plane.shape[0] * factor)))
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))


def _sharpened(plane: Plane, *, sigma: float, amount: float) -> Plane:
    soft = _blurred(plane, sigma)
    return np.asarray(cv2.addWeighted(plane, 1.0 + amount, soft, -amount, 0.0), dtype=np.uint8)


def _blurred(plane: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _draw(plane: Plane, region: Crop, target: Plane, left: float, top: float, across: float, down: float) -> None:
    """Fill `target` from the photo points left + i * across, top + j * down (photo px, measured from its corner)."""
    dense_x, dense_y = plane.shape[1] / region.width, plane.shape[0] / region.height
    matrix = np.array(
        [
            [across * dense_x, 0.0, (left - region.x) * dense_x - 0.5],
            [0.0, down * dense_y, (top - region.y) * dense_y - 0.5],
        ]
    )
    height, width = target.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    target[:] = cv2.warpAffine(plane, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _cut_out(plate: Plate, crop: Crop, size: tuple[int, int]) -> list[Plane]:
    """Return the three planes of `crop`, all averaged down to `size` (width, height)."""
    cut = []
    for plane in (plate.y, plate.cb, plate.cr):
        dense_x, dense_y = plane.shape[1] / plate.region.width, plane.shape[0] / plate.region.height
        left, top = (crop.x - plate.region.x) * dense_x, (crop.y - plate.region.y) * dense_y
        right, bottom = left + crop.width * dense_x, top + crop.height * dense_y
        part = plane[max(0, round(top)) : round(bottom), max(0, round(left)) : round(right)]
        cut.append(np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
    return cut
