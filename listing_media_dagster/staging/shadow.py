"""What furniture takes from the light on the room behind it, and where in the photo that may show."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from listing_media_dagster.path_tracer.materials import Image
from listing_media_dagster.staging.arrays import Mask, Planes
from listing_media_dagster.staging.contact import SHOWN
from listing_media_dagster.staging.render import Window
from listing_media_dagster.staging.room import Wall

FAINT, PLAIN = 0.008, 0.03  # darkening that is dropped, and that is kept whole
MOST_LIGHT = 1.4  # of what `near` leaves: furniture also throws light back


def shadow(
    furnished: Image, unfurnished: Image, alpha: Image, planes: Planes, beyond: Mask, near: Image, contrast: float
) -> Image:
    """Return how much (h, w) of the light on the room behind it furniture leaves, what is `near` (h, w) left out.

    `near` is the share of light that the furniture right beside a point leaves (see `contact`): divided by it, light
    changes slowly enough to be carried over from beside under furniture, where planes meet, and where the photo shows
    floor `beyond` the stand-in's walls (a doorway). `contrast` is how much of it the photo's processing would show;
    what is near keeps its own, as such processing keeps fine contrast. Shadow has no colour: processing has evened out
    the photo's own coloured bounce, and a wall keeps its hue in the shade.
    """
    ratio = (furnished.mean(axis=-1) / np.maximum(unfurnished.mean(axis=-1), 1e-4)).clip(0, 1)
    corners = cv2.morphologyEx(planes.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    touched = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    known = (~touched & ~corners & ~beyond).astype(np.float32)
    far = (ratio / near).clip(0, MOST_LIGHT).astype(np.float32)
    left = carried_over(far[..., None], known, (1.0, 3.0, 12.0, 40.0))[..., 0]
    return eased_where_walls_meet(np.asarray(left**contrast, np.float32), planes)


def taken(left: Image, near: Image, fading: Image) -> Image:
    """Return the share (h, w) 0..1 of light that furniture takes from what it leaves from afar and near; 0 where
    `fading` is."""
    share = 1 - np.minimum(left * near**SHOWN, 1)
    kept = np.clip((share - FAINT) / (PLAIN - FAINT), 0, 1)
    return np.asarray(share * kept * fading, np.float32)


def eased_where_walls_meet(taken: Image, planes: Planes) -> Image:
    """Let no step of light (h, w) show at the stand-in's upright corners: beside the photo's own it would be a line."""
    walls = planes > 1
    marked = planes.astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    highest, lowest = cv2.dilate(np.where(walls, marked, 0), kernel), cv2.erode(np.where(walls, marked, 255), kernel)
    meeting = walls & (highest != lowest) & (highest > 0) & (lowest < 255)
    reach = max(4.0, 0.02 * max(planes.shape))
    width = round(3 * reach) | 1  # so that nothing of the step is left in the middle
    near = cv2.dilate(meeting.astype(np.uint8), np.ones((width, width), np.uint8))
    share = blurred(near.astype(np.float32), reach / 2).clip(0, 1)
    wide = blurred(taken * walls, reach) / np.maximum(blurred(walls.astype(np.float32), reach), 1e-3)
    return np.asarray(np.where(walls, taken + (wide - taken) * share, taken), np.float32)


def carried_over(image: Image, known: Image, reaches: Sequence[float]) -> Image:
    """Fill what isn't wholly known (h, w) 0..1 with blurs of what is, from ever farther; far from all it stays."""
    filled, sure = image.copy(), known > 0.99
    weighted = image * known[..., None]
    for reach in reaches:
        share = blurred(known, reach)
        around = blurred(weighted, reach).reshape(image.shape) / np.maximum(share, 1e-6)[..., None]
        usable = ~sure & (share > 0.02)
        filled[usable] = around[usable]
        sure |= usable
    return np.asarray(filled, np.float32)


def blurred(image: Image, reach: float) -> Image:
    """A Gaussian blur; wide ones are done at a quarter of the size."""
    if reach < 8:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), reach), np.float32)
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), reach / 4)
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def fading_out(window: Window, size: tuple[int, int]) -> Image:
    """1 inside, falling to 0 at those borders (h, w) beyond which the photo goes on: no shadow may end in a line."""
    width, height = window.size
    reach = 0.06 * max(width, height)
    columns, rows = np.arange(width), np.arange(height)
    left = columns / reach if window.left else np.ones(width)
    right = columns[::-1] / reach if window.right < size[0] else np.ones(width)
    top = rows / reach if window.top else np.ones(height)
    bottom = rows[::-1] / reach if window.bottom < size[1] else np.ones(height)
    inside = np.minimum(np.minimum(left, right)[None], np.minimum(top, bottom)[:, None])
    return np.asarray(np.clip(inside, 0, 1), np.float32)


def receives(floor: Mask, planes: Planes) -> Image:
    """How surely pixels (h, w) that show the stand-in's floor show the photo's floor too, not what stands before it."""
    reach = max(3, round(0.02 * max(floor.shape))) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    closed = cv2.morphologyEx((floor | (planes != 0)).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    surely = cv2.GaussianBlur(closed.astype(np.float32), (0, 0), reach / 4)
    return np.asarray(np.where(planes == 0, surely, 1), np.float32)


def panes_seen(walls: Sequence[Wall], window: Window, times: float = 1) -> Mask:
    """Where a picture `times` smaller than the photo shows windows (h, w): no furniture shades what is outdoors."""
    panes = np.zeros(window.size[::-1], np.uint8)
    for opening in (o for wall in walls for o in wall.openings if o.kind == "window"):
        outline = np.nan_to_num(opening.outline / times - (window.left, window.top))
        cv2.fillPoly(panes, [np.round(np.clip(outline, -1e4, 1e4)).astype(np.int32)], 1)
    return panes > 0


def dimming(furnished: Image, unfurnished: Image, alpha: Image) -> float:
    """How much darker furniture makes the room as a whole, for which a camera would expose longer: 0.8 .. 1."""
    free = alpha == 0
    if not free.any():
        return 1.0
    ratio = furnished[free].mean(axis=-1) / np.maximum(unfurnished[free].mean(axis=-1), 1e-4)
    return float(np.clip(np.percentile(ratio, 80), 0.8, 1.0))


def softly(inside: Mask, soft: Mask) -> Image:
    """1 inside, 0 outside (h, w), with a soft run-out over what is `soft` of it."""
    hard = (inside & ~soft).astype(np.float32)
    run_out = blurred(hard, 0.015 * max(inside.shape))
    return np.asarray(np.where(soft, run_out, hard), np.float32)


def faint_left_out(mirror: Image, alpha: Image, fading: Image) -> Image:
    """Keep what of the mirror's change can be seen, and let it end softly."""
    untouched = (cv2.dilate((alpha > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0).astype(np.float32)
    mirror = carried_over(mirror, untouched, (1.0, 3.0, 12.0))
    size = np.abs(mirror).mean(axis=-1, keepdims=True)
    kept = np.clip((size - FAINT / 4) / (FAINT / 2), 0, 1) * fading[..., None]
    return np.asarray(mirror * kept, np.float32)
