"""A picture to judge a recovered room by: metre squares on the floor, the floor's extent, walls, openings, horizon."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

from listing_media_dagster.staging.room import Opening, PhotoCamera, RoomGeometry, Wall

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
Font = PIL.ImageFont.FreeTypeFont

GRID: Colour = (0, 150, 60)
FLOOR = np.array([60, 200, 120], np.float32)
WALL: Colour = (40, 90, 230)
HORIZON: Colour = (230, 160, 0)
OPENING: dict[str, Colour] = {
    "window": (0, 190, 230),
    "door": (220, 60, 30),
    "passage": (200, 40, 200),
    "niche": (240, 220, 60),
}
EDGE: Colour = (150, 90, 40)
LEGEND: dict[str, Colour] = {
    "floor": (60, 200, 120),
    "metres": GRID,
    "walls": WALL,
    "horizon": HORIZON,
    **OPENING,
    "other edge": EDGE,
}
BAR, WRITING = (25, 25, 28), (255, 255, 255)
REACH = 12.0  # m


def draw_geometry(rgb: Image, geometry: RoomGeometry) -> Image:
    """Return rgb (H, W, 3) uint8 with 1 m squares, the floor tinted, walls, openings and horizon, named."""
    camera = geometry.camera
    drawn = rgb.astype(np.float32)
    drawn[geometry.floor] = 0.72 * drawn[geometry.floor] + 0.28 * FLOOR
    picture: Image = np.ascontiguousarray(drawn.astype(np.uint8))
    thick = max(1, round(camera.size[0] / 900))
    _draw_grid(picture, camera, geometry.floor, thick)
    for wall in geometry.walls:
        _draw_wall(picture, camera, wall, geometry.ceiling or 2.5, thick)
        for opening in wall.openings:
            _draw_opening(picture, opening, thick)
        for upright in wall.uprights:
            foot, top = (wall.points((upright.at,), level) for level in (upright.bottom, upright.top))
            _draw_path(picture, camera.project(np.concatenate([foot, top])), EDGE, thick + 1)
    ends = [(x, round(camera.horizon(x))) for x in (0, camera.size[0])]
    cv2.line(picture, ends[0], ends[1], HORIZON, thick, cv2.LINE_AA)
    return _with_caption(picture, geometry)


def _draw_grid(picture: Image, camera: PhotoCamera, floor: NDArray[np.bool_], thick: int) -> None:
    lines = np.zeros(picture.shape[:2], np.uint8)
    along = np.arange(-REACH, REACH + 0.01, 0.05)
    for offset in np.arange(-REACH, REACH + 0.01, 1.0):
        for points in (
            np.column_stack([np.full_like(along, offset), np.zeros_like(along), along]),
            np.column_stack([along, np.zeros_like(along), np.full_like(along, offset)]),
        ):
            _draw_path(lines, camera.project(points), 255, thick)
    picture[(lines > 0) & floor] = GRID


def _draw_wall(picture: Image, camera: PhotoCamera, wall: Wall, ceiling: float, thick: int) -> None:
    along = np.linspace(wall.span[0], wall.span[1], 60)
    for level in (0.0, ceiling):
        points = np.zeros((len(along), 3))
        points[:, 0 if wall.axis == "x" else 2] = wall.offset
        points[:, 2 if wall.axis == "x" else 0] = along
        points[:, 1] = level
        _draw_path(picture, camera.project(points), WALL, thick + (level == 0))


def _draw_opening(picture: Image, opening: Opening, thick: int) -> None:
    cv2.polylines(
        picture, [np.round(opening.outline).astype(np.int32)], True, OPENING[opening.kind], thick + 1, cv2.LINE_AA
    )


def _draw_path(picture: NDArray[np.uint8], points: NDArray[np.float64], colour: int | Colour, thick: int) -> None:
    limit = 4 * max(picture.shape)
    visible = np.isfinite(points).all(axis=1) & (np.abs(points) < limit).all(axis=1)
    for run in np.split(np.arange(len(points)), np.flatnonzero(~visible)):
        run = run[visible[run]]
        if len(run) > 1:
            cv2.polylines(
                picture,
                [np.round(points[run]).astype(np.int32)],
                False,
                colour if isinstance(colour, tuple) else (colour,),
                thick,
                cv2.LINE_AA,
            )


def _with_caption(picture: Image, geometry: RoomGeometry) -> Image:
    """Return the picture with every opening named and, on a bar along the top, what was found and what colours mean."""
    drawn = PIL.Image.fromarray(picture)
    brush = PIL.ImageDraw.Draw(drawn)
    width = picture.shape[1]
    font = _font(max(9.0, width / 75))
    facts, line = _facts(geometry), font.size * 1.5
    while brush.textlength(facts, font) > width - 2 * line and font.size > 6:
        font = _font(font.size - 0.5)
    brush.rectangle((0, 0, width, 2 * line + 4), fill=BAR)
    brush.text((line / 2, line / 2 + 2), facts, WRITING, font, anchor="lm")
    at = line / 2
    for name, colour in LEGEND.items():
        brush.rectangle((at, 1.3 * line, at + 0.6 * line, 1.7 * line + 2), fill=colour)
        brush.text((at + 0.8 * line, 1.5 * line + 2), name, WRITING, font, anchor="lm")
        at += brush.textlength(name, font) + 1.6 * line
    for opening in (opening for wall in geometry.walls for opening in wall.openings):
        _name(brush, opening, font, picture.shape[1::-1])
    return np.array(drawn, np.uint8)


def _font(size: float) -> Font:
    return cast(Font, PIL.ImageFont.load_default(size))  # Pillow's wheels have FreeType


def _name(brush: PIL.ImageDraw.ImageDraw, opening: Opening, font: Font, size: tuple[int, int]) -> None:
    """Write what an opening is and how wide into the middle of what is seen of it."""
    low, high = (np.clip(edge, 0, size) for edge in (opening.outline.min(axis=0), opening.outline.max(axis=0)))
    if (high - low).min() <= 0:
        return
    middle = (float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2)
    said = f"{opening.kind} {opening.span[1] - opening.span[0]:.1f} m"
    left, top, right, bottom = brush.textbbox(middle, said, font, anchor="mm")
    brush.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=BAR)
    brush.text(middle, said, WRITING, font, anchor="mm")


def _facts(geometry: RoomGeometry) -> str:
    camera = geometry.camera
    millimetres = camera.focal_px / max(camera.size) * 36
    ceiling = f"ceiling {geometry.ceiling:.2f} m" if geometry.ceiling else "no ceiling found"
    return (
        f"confidence {geometry.confidence:.2f}   focal length {millimetres:.0f} mm ({geometry.focal_from})   "
        f"camera {camera.height:.2f} m up ({geometry.height_from})   {ceiling}"
    )
