"""All photos of a listing on one sheet: numbered, named, and marked where a viewer must know something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Tone = Literal["notice", "aside", "warning", "problem"]
Colour = tuple[int, int, int]

_PAPER: Colour = (250, 249, 247)
_INK: Colour = (28, 30, 33)
_QUIET: Colour = (105, 108, 112)
_HAIRLINE: Colour = (222, 220, 216)
_TONES: dict[Tone, tuple[Colour, Colour]] = {
    "notice": ((255, 255, 255), (31, 79, 110)),
    "aside": ((255, 255, 255), (70, 72, 74)),
    "warning": ((42, 30, 0), (245, 196, 80)),
    "problem": ((255, 255, 255), (164, 38, 44)),
}


@dataclass(frozen=True)
class Badge:
    text: str
    tone: Tone = "notice"


@dataclass(frozen=True)
class SheetCell:
    """One photo of the sheet. `rgb` is uint8 (H, W, 3), sRGB; some 800 px are plenty."""

    number: int
    caption: str
    rgb: Rgb
    badges: tuple[Badge, ...] = ()


def draw_contact_sheet(cells: Sequence[SheetCell], title: str, subtitle: str = "", *, width: int = 2400) -> Rgb:
    """Return a sheet of all `cells` in order, `width` px wide (at least 320) and as high as they need, uint8 (H, W, 3).

    Photos are shown whole, never cropped, and never enlarged.
    """
    columns = _columns(len(cells), width)
    unit = width / 240
    margin, gap = round(8 * unit), round(4 * unit)
    cell_width = (width - 2 * margin - (columns - 1) * gap) // columns
    picture_height = round(cell_width * 2 / 3)
    text = max(round(cell_width * 0.052), 9)
    row_height = picture_height + round(text * 2.1) + gap
    heading = max(round(5.6 * unit), 15)
    top = margin + round(heading * (2.6 if subtitle else 1.7)) + gap
    rows = -(-len(cells) // columns)
    sheet = np.full((top + rows * row_height + margin, width, 3), _PAPER, np.uint8)
    room = width - 2 * margin
    _write(sheet, title, (margin, margin + heading), heading, _INK, 600, room)
    if subtitle:
        _write(sheet, subtitle, (margin, margin + round(heading * 2.1)), round(heading * 0.55), _QUIET, 400, room)
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        corner = (margin + column * (cell_width + gap), top + row * row_height)
        _draw_cell(sheet, cell, corner, (cell_width, picture_height), text)
    return sheet


def _columns(count: int, width: int) -> int:
    wanted = next((columns for columns, most in ((2, 2), (3, 9), (4, 24), (5, 40)) if count <= most), 6)
    return max(1, min(wanted, width // 160))


def _draw_cell(sheet: Rgb, cell: SheetCell, corner: tuple[int, int], size: tuple[int, int], text: int) -> None:
    left, top = corner
    width, height = size
    picture = _fitting(cell.rgb, size)
    down, across = picture.shape[:2]
    x, y = left + (width - across) // 2, top + (height - down) // 2
    cv2.rectangle(sheet, (left, top), (left + width - 1, top + height - 1), (239, 237, 233), -1)
    sheet[y : y + down, x : x + across] = picture
    cv2.rectangle(sheet, (left, top), (left + width - 1, top + height - 1), _HAIRLINE, 1)
    baseline = top + height + round(text * 1.45)
    number = f"{cell.number:02d}"
    _write(sheet, number, (left, baseline), text, _INK, 700, width)
    indent = round(_length(number, text, 700) + text * 0.7)
    _write(sheet, cell.caption, (left + indent, baseline), text, _QUIET, 400, width - indent)
    edge = left + round(text * 0.6)
    for badge in cell.badges:
        edge = _draw_badge(sheet, badge, (edge, top + round(text * 0.6)), text, left + width)


def _draw_badge(sheet: Rgb, badge: Badge, corner: tuple[int, int], text: int, right: int) -> int:
    """Draw `badge` at `corner` and return where the next may start; what does not fit is cut."""
    ink, ground = _TONES[badge.tone]
    left, top = corner
    size, pad = round(text * 0.86), round(text * 0.55)
    words = _cut(badge.text, size, 500, right - left - 3 * pad)
    if not words:
        return left
    width, height = round(_length(words, size, 500)) + 2 * pad, round(size * 1.75)
    cv2.rectangle(sheet, (left, top), (left + width, top + height), ground, -1)
    _write(sheet, words, (left + pad, top + round(size * 1.24)), size, ink, 500, width)
    return left + width + pad


def _fitting(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    width, height = size
    scale = min(width / rgb.shape[1], height / rgb.shape[0], 1.0)
    fitted = (max(1, int(rgb.shape[1] * scale)), max(1, int(rgb.shape[0] * scale)))
    # averaging is as good as Lanczos for so small a step, and six sheets a run are drawn with it
    return np.asarray(cv2.resize(rgb, fitted, interpolation=cv2.INTER_AREA), np.uint8)


def _length(text: str, size: int, weight: int) -> float:
    return float(cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), size, weight)[2])


def _cut(text: str, size: int, weight: int, room: float) -> str:
    """Return as much of `text` as fits into `room` px, with an ellipsis where something is missing."""
    text = " ".join(text.split())
    if _length(text, size, weight) <= room:
        return text
    kept = next((n for n in range(len(text), 0, -1) if _length(f"{text[:n].rstrip()}…", size, weight) <= room), 0)
    return f"{text[:kept].rstrip()}…" if kept else ""


def _write(
    sheet: Rgb, text: str, baseline: tuple[int, int], size: int, colour: Colour, weight: int, room: float
) -> None:
    # the typeface built into OpenCV 5 covers Latin, Cyrillic, Greek and Chinese, whatever fonts a machine has
    cv2.putText(sheet, _cut(text, size, weight, room), baseline, colour, cv2.FontFace("sans"), size, weight)
