"""Pictures of an arrangement for people: the room from above, and boxes drawn into the photo."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.staging.arrangement import Arrangement, PlacedPiece
from listing_media_dagster.staging.arrays import Floats
from listing_media_dagster.staging.floor_plan import CELL, CORNER, plan_floor
from listing_media_dagster.staging.layouts.setting import box, hull, outline
from listing_media_dagster.staging.room import PhotoCamera, RoomGeometry, Wall

SCALE = round(1 / CELL) * 3  # px per m
FLOOR, UNSEEN, OUTSIDE, CLEAR = (236, 229, 216), (214, 214, 214), (250, 250, 250), (250, 214, 190)
WALL, WINDOW, DOOR = (60, 60, 60), (90, 160, 220), (220, 120, 50)


def draw_plan(geometry: RoomGeometry, arrangement: Arrangement | None = None) -> NDArray[np.uint8]:
    """Return the room from above, uint8 RGB, 60 px a metre: floor, walls, openings, what stays clear, pieces."""
    plan = plan_floor(geometry)
    picture = np.full((*plan.free.shape, 3), OUTSIDE, np.uint8)
    picture[plan.unseen] = UNSEEN
    picture[plan.free] = FLOOR
    picture[plan.free & plan.clear] = CLEAR
    picture = np.asarray(cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST), np.uint8)
    for wall in geometry.walls:
        _draw_wall(picture, wall, wall.span, WALL, 5)
        for opening in wall.openings:
            _draw_wall(picture, wall, opening.span, DOOR if opening.is_walked_through else WINDOW, 9)
    cv2.circle(picture, tuple(map(int, _to_picture(np.zeros((1, 2)))[0])), 9, (200, 30, 30), -1)
    for piece in sorted(arrangement.pieces if arrangement else (), key=lambda piece: piece.size[1]):
        _draw_piece(picture, piece)
    return picture


def draw_boxes(rgb: NDArray[np.uint8], camera: PhotoCamera, arrangement: Arrangement) -> NDArray[np.uint8]:
    """Return the photo (uint8 RGB, at the camera's size) with the pieces' boxes in perspective, far ones first."""
    picture = rgb.copy()
    thick = max(1, round(camera.size[0] / 800))
    floor_distance = {piece.name: float(np.hypot(piece.position[0], piece.position[2])) for piece in arrangement.pieces}
    for piece in sorted(arrangement.pieces, key=lambda piece: -floor_distance[piece.name]):
        around = hull(camera, piece)
        if around is None:
            continue
        colour = _colour(piece)
        veil = picture.copy()
        cv2.fillConvexPoly(veil, np.round(around).astype(np.int32), colour)
        picture = np.asarray(cv2.addWeighted(veil, 0.45, picture, 0.55, 0), np.uint8)
        corners = np.round(camera.project(box(piece))).astype(int)
        edges = [(i, (i + 1) % 4) for i in range(4)]
        for a, b in [*edges, *((a + 4, b + 4) for a, b in edges), *((i, i + 4) for i in range(4))]:
            front = {2, 3, 6, 7} >= {a, b}
            cv2.line(
                picture, tuple(corners[a]), tuple(corners[b]), (20, 20, 20), thick * (2 if front else 1), cv2.LINE_AA
            )
    return picture


def _draw_wall(
    picture: NDArray[np.uint8], wall: Wall, span: tuple[float, float], colour: tuple[int, int, int], thick: int
) -> None:
    ends = [(wall.offset, along) if wall.axis == "x" else (along, wall.offset) for along in span]
    start, end = (tuple(map(int, point)) for point in _to_picture(np.array(ends)))
    cv2.line(picture, start, end, colour, thick)


def _draw_piece(picture: NDArray[np.uint8], piece: PlacedPiece) -> None:
    corners = _to_picture(outline(piece)).astype(np.int32)
    cv2.fillConvexPoly(picture, corners, _colour(piece))
    cv2.polylines(picture, [corners], True, (40, 40, 40), 1, cv2.LINE_AA)
    cv2.line(picture, tuple(map(int, corners[2])), tuple(map(int, corners[3])), (40, 40, 40), 3)  # its front
    if min(piece.size[0], piece.size[2]) > 0.3:
        at = tuple(map(int, corners.mean(0) - (20, -4)))
        cv2.putText(picture, piece.name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.35, (20, 20, 20), 1, cv2.LINE_AA)


def _to_picture(points: Floats) -> Floats:
    return np.asarray((points + CORNER) * SCALE)


def _colour(piece: PlacedPiece) -> tuple[int, int, int]:
    """Return the colour of the piece's largest finish, or a grey."""
    for role in ("upholstery", "pile", "leaves", "top", "body", "frame", "seat", "picture", "shade"):
        if role in piece.finishes:
            text = piece.finishes[role].colour
            return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
    return 170, 170, 170
