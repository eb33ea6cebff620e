"""Make the sample listing: `python -m listing_media_dagster.sample_listing.make OUTPUT [--draft] [--only FILE ...]`.

Needs mitsuba. Renders every room and the front, then photographs them as a working photographer would: handheld or on a
leaning tripod, mixed light, corners dark, a little noise. `OUTPUT` gets the drop folder and `cameras.json`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from listing_media_dagster.path_tracer import textures as t
from listing_media_dagster.path_tracer.denoise import Surfaces
from listing_media_dagster.path_tracer.materials import Image
from listing_media_dagster.sample_listing import develop, exterior, render, rooms
from listing_media_dagster.sample_listing.develop import Shot
from listing_media_dagster.sample_listing.render import Quality
from listing_media_dagster.sample_listing.rooms import Room
from listing_media_dagster.sample_listing.scene import Camera

MORNING = datetime(2026, 5, 14, 10, 12, 8)
BRACKET = (("DSC_0430.JPG", -2), ("DSC_0431.JPG", 0), ("DSC_0432.JPG", 2))
PHONE_SHOT = "IMG_2201.JPG"
BROKEN, BROKEN_SHARE = "DSC_0413.JPG", 0.42
CONVENTIONS = "x right, y up, yaw 0 looks along -z; yaw to the right, pitch up, roll clockwise; pinhole, centred"
GARDEN_SUN = (-0.3, 0.62, 0.7)  # behind the viewer of the north windows, so that the garden is front-lit


@dataclass(frozen=True)
class Picture:
    """One render and how it is exposed: weights of the light groups, brightness of the view, the shot's settings."""

    file: str
    room: Callable[[], Room]
    shot: Shot
    weights: Mapping[str, float] = field(default_factory=dict)
    view: float = 2.2
    view_blur: float = 1.0
    width: int = 2400


def _shot(
    gain: float, minute: float, exposure: Fraction, seed: int, balance: tuple[float, float, float], **changes: object
) -> Shot:
    taken = MORNING + timedelta(minutes=minute)
    return replace(Shot(gain, exposure, taken, seed=seed, balance=balance), **changes)  # type: ignore[arg-type]


PICTURES = (
    Picture(
        "DSC_0412.JPG", rooms.living_room, _shot(1.9, 14, Fraction(1, 20), 12, (1.05, 1.0, 0.88)), {"sun": 0.45}, 1.6
    ),
    Picture(
        "03-kitchen.jpg", rooms.kitchen, _shot(3.4, 21, Fraction(1, 15), 13, (1.06, 1.0, 0.87)), {"lamp": 1.9}, 1.3
    ),
    Picture("DSC_0421.JPG", rooms.bedroom, _shot(2.4, 30, Fraction(1, 15), 14, (0.96, 1.0, 1.08)), {"sun": 0.35}),
    Picture("bathroom.jpg", rooms.bathroom, _shot(2.6, 36, Fraction(1, 10), 15, (1.10, 1.0, 0.80)), {}, 2.4, 60.0),
    Picture(
        BRACKET[1][0], rooms.dining_room, _shot(1.7, 44, Fraction(1, 10), 16, (1.03, 1.0, 0.93)), {"sun": 0.35}, 3.6
    ),
    Picture(
        PHONE_SHOT,
        rooms.hallway,
        _shot(
            3.0,
            52,
            Fraction(1, 50),
            17,
            (1.10, 1.0, 0.78),
            iso=640,
            f_number=1.8,
            model="Sample Phone",
            orientation=6,
            vignette=0.3,
            noise=1.2,
        ),
        {},
        5.0,
        10.0,
        2000,
    ),
)
FRONT_SHOT = _shot(0.92, 0, Fraction(1, 250), 11, (0.97, 1.0, 1.05), iso=100, f_number=8.0, vignette=0.4)


def quality_of(width: int, portrait: bool, draft: bool, outdoors: bool = False) -> Quality:
    """Samples for a picture whose long edge is `width` px; a draft takes about a fifth of the time."""
    width = width // 2 if draft else width
    size = (width * 2 // 3, width) if portrait else (width, width * 2 // 3)
    spp = {"day": 24, "sun": 12, "lamp": 14, "sky": 16}
    return Quality(
        size, 3, 2 if draft else 6, {k: max(4, v // 3) if draft else v for k, v in spp.items()}, 4 if outdoors else 7
    )


def view_through_windows(room: Room, seen: Surfaces, blur: float, spp: int) -> Image:
    """The garden as this camera sees it, (H, W, 3): zero away from the windows; softened as glass and defocus do."""
    height, width = seen.hit.shape
    result = np.zeros((height, width, 3), np.float32)
    glass = seen.lights["day"] > 0.02
    if not glass.any():
        return result
    ys, xs = np.flatnonzero(glass.any(1)) // 2, np.flatnonzero(glass.any(0)) // 2
    x0, y0, x1, y1 = int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1
    camera = replace(room.camera, position=room.garden_position)
    traced = render.trace_outdoors(
        exterior.garden(GARDEN_SUN), camera, (width // 2, height // 2), (x0, y0, x1 - x0, y1 - y0), spp, 5
    )
    rays = camera.directions(width // 2, height // 2)[y0:y1, x0:x1]
    seen_sky = t.sky(rays, GARDEN_SUN, exterior.SKY_SEED + 1, 0.4)
    sharp = traced[..., :3] + (1 - traced[..., 3:4].clip(0, 1)) * seen_sky
    soft = cv2.GaussianBlur(sharp, (0, 0), max(0.4, blur / 2))
    large = cv2.resize(soft, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).clip(0)
    part = result[2 * y0 : 2 * y1, 2 * x0 : 2 * x1]
    part[:] = large[: part.shape[0], : part.shape[1]]
    return result


def radiance_of(picture: Picture, room: Room, draft: bool) -> Image:
    """Scene radiance of a room as its camera sees it, (H, W, 3) linear."""
    groups, seen = render.light_groups(room.scene, room.camera, quality_of(picture.width, room.camera.portrait, draft))
    image = np.zeros_like(seen.albedo)
    for name, light in groups.items():
        image += light * picture.weights.get(name, 1.0)
    view = view_through_windows(room, seen, picture.view_blur, 4 if draft else 10)
    image += seen.lights["day"][..., None] * view * picture.view
    glow = np.asarray(room.scene.lights["lamp"]["lamp"], np.float32) * picture.weights.get("lamp", 1.0)
    return image + seen.lights["lamp"][..., None] * glow


def front_radiance(draft: bool) -> tuple[Image, Camera]:
    """The front under its sky, (H, W, 3) linear, and the camera that sees it."""
    scene, camera = exterior.front()
    quality = quality_of(2400, False, draft, outdoors=True)
    groups, seen = render.light_groups(scene, camera, quality)
    sky = t.sky(camera.directions(*quality.size), exterior.SUN, exterior.SKY_SEED, 0.45)
    return groups["sky"] + groups["sun"] + (1 - seen.hit[..., None]) * sky, camera


def bracket_frames(radiance: Image, shot: Shot, focal_px: float) -> dict[str, bytes]:
    """Three handheld exposures of one scene, two stops apart, each turned by a few hundredths of a degree."""
    frames = {}
    shake = ((0.0, 0.0, 0.0), (0.045, -0.06, 0.05), (-0.035, 0.075, -0.08))
    for (name, stops), turn in zip(BRACKET, shake, strict=True):
        scale = Fraction(2) ** stops
        frame = replace(
            shot,
            gain=shot.gain * float(scale),
            exposure_time=shot.exposure_time * scale,
            taken=shot.taken + timedelta(seconds=stops // 2 + 1),
            seed=shot.seed * 10 + stops,
        )
        frames[name] = develop.jpeg(develop.expose(develop.shaken(radiance, focal_px, *turn), frame), frame, 87)
    return frames


def files_of(picture: Picture, radiance: Image, camera: Camera) -> dict[str, bytes]:
    """The files that this picture delivers: one, or three for the bracket, and the broken copy of the living room."""
    height, width = radiance.shape[:2]
    shot = replace(picture.shot, focal_35mm=camera.focal_35mm)
    if picture.file == BRACKET[1][0]:
        return bracket_frames(radiance, shot, camera.focal_px(width, height))
    pixels = develop.expose(radiance, shot)
    if shot.orientation == 6:  # the sensor lay on its side: viewers turn the pixels clockwise
        pixels = np.ascontiguousarray(np.rot90(pixels))
    files = {picture.file: develop.jpeg(pixels, shot, 88)}
    if picture.room is rooms.living_room:
        again = replace(shot, seed=shot.seed + 500, taken=shot.taken + timedelta(seconds=6))
        whole = develop.jpeg(develop.expose(radiance, again), again, 82)
        files[BROKEN] = whole[: int(len(whole) * BROKEN_SHARE)]
    return files


def camera_record(camera: Camera, size: tuple[int, int], room: Room | None) -> dict[str, object]:
    """Ground truth of a picture for whoever measures geometry on it; `size` is (width, height) as displayed."""
    return {
        "room": room.name if room else "exterior_front",
        "position_m": list(camera.position),
        "height_m": camera.position[1],
        "yaw_deg": camera.yaw,
        "pitch_deg": camera.pitch,
        "roll_deg": camera.roll,
        "focal_35mm": camera.focal_35mm,
        "focal_px": round(camera.focal_px(*size), 2),
        "size_px": list(size),
        "room_size_m": list(room.size) if room else None,
        "conventions": CONVENTIONS,
    }


def make(output: Path, draft: bool = False, only: frozenset[str] = frozenset()) -> None:
    """Render and write the listing's photos to `output`/drop and their cameras to `output`/cameras.json."""
    drop = output / "drop"
    drop.mkdir(parents=True, exist_ok=True)
    record_path = output / "cameras.json"
    records = json.loads(record_path.read_text()) if record_path.exists() else {}

    def keep(files: Mapping[str, bytes], radiance: Image, camera: Camera, room: Room | None, started: float) -> None:
        height, width = radiance.shape[:2]
        for name, content in files.items():
            (drop / name).write_bytes(content)
            records[name] = camera_record(camera, (width, height), room)
            print(f"{name}: {len(content) / 1000:.0f} kB, {time.process_time() - started:.0f} CPU s", flush=True)
        record_path.write_text(json.dumps(records, indent=2, sort_keys=True) + "\n")

    for picture in PICTURES:
        if only and picture.file not in only:
            continue
        started = time.process_time()
        room = picture.room()
        radiance = radiance_of(picture, room, draft)
        keep(files_of(picture, radiance, room.camera), radiance, room.camera, room, started)
    if not only or "01-front.jpg" in only:
        started = time.process_time()
        radiance, camera = front_radiance(draft)
        shot = replace(FRONT_SHOT, focal_35mm=camera.focal_35mm)
        keep({"01-front.jpg": develop.jpeg(develop.expose(radiance, shot), shot, 86)}, radiance, camera, None, started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path)
    parser.add_argument("--draft", action="store_true", help="half size, a third of the samples")
    parser.add_argument("--only", nargs="*", default=[], metavar="FILE", help="01-front.jpg, DSC_0412.JPG …")
    arguments = parser.parse_args()
    make(arguments.output, arguments.draft, frozenset(arguments.only))


if __name__ == "__main__":
    main()
