"""A room whose camera, light and surfaces are known, painted by the path tracer itself at thumbnail size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.path_tracer.solids import box
from listing_media_dagster.staging.arrangement import Arrangement, Finish, PlacedPiece
from listing_media_dagster.staging.furniture.designs import Design, Kind
from listing_media_dagster.staging.light import RoomLight
from listing_media_dagster.staging.reflection import with_mirror_floor
from listing_media_dagster.staging.render import trace, whole
from listing_media_dagster.staging.room import Opening, PhotoCamera, RoomGeometry, Wall
from listing_media_dagster.staging.scene import FLOOR, PLANES, stand_in

WIDTH, HEIGHT = 144, 96
LEFT, RIGHT, FAR, CEILING = -2.0, 2.2, -5.0, 2.6


def known_geometry(turned: float = 6.0) -> RoomGeometry:
    """A 4.2 m wide room with a window left and right, seen by a camera turned by some degrees and pitched down by 4."""
    yaw, pitch = np.radians([turned, -4.0])
    forward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), -np.cos(yaw) * np.cos(pitch)])
    right = np.array([np.cos(yaw), 0.0, np.sin(yaw)])
    axes = np.array([right, np.cross(right, forward), forward])
    camera = PhotoCamera((WIDTH, HEIGHT), 0.6 * WIDTH, (WIDTH / 2, HEIGHT / 2), axes, 1.4)

    def window(x: float) -> Opening:
        corners = np.array([(x, 0.8, -2.5), (x, 0.8, -4.2), (x, 2.2, -4.2), (x, 2.2, -2.5)])
        return Opening("window", camera.project(corners), (-4.2, -2.5), 0.8, 2.2)

    walls = (
        Wall("x", LEFT, 1, (FAR, 0.0), (window(LEFT),)),
        Wall("x", RIGHT, -1, (FAR, 0.0), (window(RIGHT),)),
        Wall("z", FAR, 1, (LEFT, RIGHT)),
    )
    geometry = RoomGeometry(camera, np.zeros((HEIGHT, WIDTH), bool), walls, CEILING, 1.0, "known", "known")
    room = stand_in(geometry, [])
    planes, _ = room.seen_by(camera, whole(camera))
    return RoomGeometry(camera, planes == FLOOR, walls, CEILING, 1.0, "known", "known")


def paint(geometry: RoomGeometry, windows: Mapping[str, float], mirror: bool = False) -> NDArray[np.uint8]:
    """Return the room (H, W, 3) sRGB lit by its windows, `left` and `right`, of so much radiance each."""
    room = stand_in(geometry, [])
    panes = room.panes()
    shining = {f"{side} window 0": (level, level, level) for side, level in windows.items()}
    grey = {"floor": (0.35, 0.25, 0.18), "ceiling": (0.8, 0.8, 0.8)}
    reflectance = {name: grey.get(name, (0.7, 0.7, 0.7)) for name in PLANES}
    stage = RoomLight(panes, shining, reflectance, (0.0, 0.0, 0.0), {}).stage(room)
    light = trace(stage, geometry.camera, whole(geometry.camera), 32, 4, 1).denoised()
    if mirror:
        shown = trace(with_mirror_floor(stage), geometry.camera, whole(geometry.camera), 16, 4, 1).denoised()
        light = np.where(geometry.floor[..., None], 0.6 * light + 0.4 * shown, light)
    level = np.clip(light, 0, 1)
    coded = np.where(level <= 0.0031308, level * 12.92, 1.055 * level ** (1 / 2.4) - 0.055)
    return np.asarray(coded * 255 + 0.5, np.uint8)


def crate(colour: str = "#ffffff", position: tuple[float, float, float] = (0.3, 0.0, -3.2)) -> Arrangement:
    finish = Finish(surface="paper", colour=colour)
    piece = PlacedPiece(
        name="crate", design="crate", size=(0.7, 0.6, 0.6), position=position, turn=20, finishes={"sides": finish}
    )
    return Arrangement(kit="none", room_type="living_room", seed=0, pieces=(piece,))


CRATES = {
    "crate": Design(
        "crate",
        Kind.POUF,
        (0.7, 0.6, 0.6),
        (0.1, 0.1, 0.1),
        (2.0, 2.0, 2.0),
        ("sides",),
        lambda size, seed: [box("sides", (-size[0] / 2, 0, -size[2] / 2), (size[0] / 2, size[1], size[2] / 2), 0.01)],
    )
}
