"""What an image-to-video model is told: to move the camera and nothing else."""

from __future__ import annotations

from listing_media_dagster.listing import Room
from listing_media_dagster.models.captions import ROOM_WORDS

MOTION = (
    "slow smooth dolly forward, steady camera, static scene, nothing in it moves, no people, no new objects, "
    "the same walls, windows, doors and furniture throughout, natural light, real estate video"
)
FORBIDDEN = (
    "new objects, objects appearing, objects disappearing, people, animals, text, watermark, morphing, warping, "
    "bending walls, changing windows, opening doors, flicker, camera shake, fast motion, cuts, rotation, blur"
)


def motion_prompt(room: Room) -> tuple[str, str]:
    """Return what a clip of `room` shall show and what it must not: (prompt, negative prompt)."""
    return f"a photo of {ROOM_WORDS[room.type]}, {MOTION}", FORBIDDEN
