"""Typography of the film: lines of text become coverage masks that are laid over a card's backdrop or a photo."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_FONTS = Path(__file__).parent / "fonts"
_SERIF, _SANS = "GentiumPlus-Regular.ttf", "Lato-Regular.ttf"
_WIDEST = 0.82  # of the frame's width: the title-safe area
_SMALLEST = 0.6  # of a line's design size; below it the line is broken instead
_MOST_LETTERS = 120  # of a card's line: more could only be read as a texture


@dataclass(frozen=True)
class TextLayer:
    """White where `mask` (uint8 coverage, even sides) says, its corner at even `x`, `y`; appears after `delay` s."""

    mask: NDArray[np.uint8]
    x: int
    y: int
    delay: float


@dataclass(frozen=True)
class _Style:
    font: str
    size: float  # px at 1080 lines
    tracking: float  # of the font size, between letters
    upper: bool
    opacity: float
    delay: float


_KICKER = _Style(_SANS, 30, 0.24, True, 0.92, 0.15)
_TITLE = _Style(_SERIF, 104, 0.0, False, 1.0, 0.3)
_DETAIL = _Style(_SANS, 32, 0.16, True, 0.92, 0.6)
_LABEL = _Style(_SANS, 30, 0.04, False, 1.0, 0.0)
_LABEL_PADDING, _SAFE = 0.6, 0.05  # of the label's size, of the frame


def lay_out_label(text: str, size: tuple[int, int]) -> TextLayer:
    """Set what a viewer must know of an altered photo: one line in the lower left of the title-safe area.

    Its letters are 1/36 of the frame's shorter side high, so that it can be read on a phone; its mask is padded by the
    dark strip it stands on.
    """
    width, height = size
    unit = min(size) / 1080
    words = _set(_settable(text), _LABEL, unit, width)
    pad = round(_LABEL_PADDING * _LABEL.size * unit)
    words = np.pad(words, ((pad, pad), (pad, pad)))
    return _on_even_grid(words, round(_SAFE * width), round((1 - _SAFE) * height) - words.shape[0], 0.0)


def lay_out_card(kicker: str, title: str, detail: str, size: tuple[int, int]) -> tuple[TextLayer, ...]:
    """Set the three lines (any may be empty) centred in a frame of `size` (width, height) px, with a rule above
    `detail`.

    Lines too long for the title-safe area are set smaller, then broken, at last cut short.
    """
    kicker, title, detail = (_settable(line) for line in (kicker, title, detail))
    width, height = size
    unit = min(height, 0.75 * width) / 1080
    blocks: list[tuple[NDArray[np.uint8], float, float]] = []  # mask, space above it, delay
    if kicker:
        blocks += [(_set(kicker, _KICKER, unit, width), 0, _KICKER.delay)]
    if title:
        blocks += [(_set(title, _TITLE, unit, width), 46 * unit if kicker else 0, _TITLE.delay)]
    if detail:
        rule = np.full((max(2, round(2 * unit)), round(132 * unit)), 170, np.uint8)
        blocks += [
            (rule, 40 * unit, _TITLE.delay + 0.15),
            (_set(detail, _DETAIL, unit, width), 40 * unit, _DETAIL.delay),
        ]
    top = (height - sum(mask.shape[0] + above for mask, above, _ in blocks)) / 2
    layers = []
    for mask, above, delay in blocks:
        top += above
        layers.append(_on_even_grid(mask, round((width - mask.shape[1]) / 2), round(top), delay))
        top += mask.shape[0]
    return tuple(layers)


def _settable(line: str) -> str:
    """Return `line` as one line that can be read, without signs that no typeface of ours has a shape for."""
    kept = "".join(
        " " if sign.isspace() else sign
        for sign in line
        if sign.isspace() or (unicodedata.category(sign) not in ("Cc", "Cf") and not _is_emoji(sign))
    )
    words = " ".join(kept.split())
    if len(words) <= _MOST_LETTERS:
        return words
    cut = words[: _MOST_LETTERS - 1]
    return f"{cut.rpartition(' ')[0] or cut}…"


def _is_emoji(sign: str) -> bool:
    return 0x1F000 <= ord(sign) < 0x20000 or 0xFE00 <= ord(sign) <= 0xFE0F


def _on_even_grid(mask: NDArray[np.uint8], x: int, y: int, delay: float) -> TextLayer:
    left, top = x % 2, y % 2
    padded = np.pad(mask, ((top, (mask.shape[0] + top) % 2), (left, (mask.shape[1] + left) % 2)))
    return TextLayer(padded, x - left, y - top, delay)


def _set(text: str, style: _Style, unit: float, frame_width: int) -> NDArray[np.uint8]:
    """Return the coverage mask of `text` in `style`, as wide as its ink and as high as its capitals and descenders."""
    text = text.upper() if style.upper else text
    limit, design = _WIDEST * frame_width, style.size * unit
    size = design * min(1.0, limit / max(1.0, _length(text, style, design)))
    lines = [text]
    if size < _SMALLEST * design:
        lines = _broken(text, style, _SMALLEST * design * 1.2, limit)
        widest = max(_length(line, style, design) for line in lines)
        size = design * min(_SMALLEST * 1.2, limit / max(1.0, widest))
    masks = [_line_mask(line, style, size) for line in lines]
    across, lead = max(mask.shape[1] for mask in masks), round(size * 0.28)
    block = np.zeros((sum(mask.shape[0] for mask in masks) + lead * (len(masks) - 1), across), np.uint8)
    top = 0
    for mask in masks:
        left = (across - mask.shape[1]) // 2
        block[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        top += mask.shape[0] + lead
    return np.asarray(block * style.opacity, dtype=np.uint8)


def _broken(text: str, style: _Style, size: float, limit: float) -> list[str]:
    """Break `text` at spaces into the fewest lines that fit `limit` px, evenly filled."""
    words, total = text.split(), _length(text, style, size)
    count = max(2, int(np.ceil(total / limit)))
    lines: list[str] = []
    line = ""
    for word in words:
        longer = f"{line} {word}".strip()
        if line and _length(longer, style, size) > 1.12 * total / count and len(lines) < count:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line]


def _line_mask(text: str, style: _Style, size: float) -> NDArray[np.uint8]:
    font, tracking = _font(style.font, size), style.tracking * size
    caps_top, depth = font.getbbox("H", anchor="ls")[1], max(0, font.getbbox(text, anchor="ls")[3])
    left, top, _, _ = font.getbbox(text, anchor="ls")
    rise = -min(caps_top, top)
    image = Image.new("L", (round(_length(text, style, size)) + 8, round(rise + depth) + 2), 0)
    draw, x = ImageDraw.Draw(image), 2.0 - min(0, left)
    if tracking:
        for letter, following in zip(text, [*text[1:], ""], strict=True):
            draw.text((x, rise), letter, fill=255, font=font, anchor="ls")
            x += font.getlength(letter + following) - font.getlength(following) + tracking
    else:
        draw.text((x, rise), text, fill=255, font=font, anchor="ls")
    return np.asarray(image)


def _length(text: str, style: _Style, size: float) -> float:
    return float(_font(style.font, size).getlength(text) + style.tracking * size * max(0, len(text) - 1))


@lru_cache(maxsize=32)
def _font(name: str, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONTS / name), size, layout_engine=ImageFont.Layout.BASIC)
