"""What diffusion models are told: the pieces that were placed, kit and room in the kit's words, what must stay."""

from __future__ import annotations

import re
from collections import Counter

from listing_media_dagster.staging.arrangement import Arrangement, PlacedPiece
from listing_media_dagster.staging.kits import RoomKit

MOST_PIECES = 5  # named, so that with the kit's words it stays under the 77 tokens that SDXL and SD 1.5 read
# Comes last. It is for models that follow instructions and read all of it; those two are held by mask and controls.
STAYS = "walls, windows, doors, ceiling and floor unchanged"
NOT_WANTED = "new windows, new doors, extra furniture, wall panels, deformed perspective, blurry, drawing"
_SURFACES = {"boucle", "linen", "velvet", "leather", "wool", "wood", "cane", "wicker", "metal", "marble", "travertine"}
_FRAMED = ("art", "mirror")  # their first finish is that of the frame


def staging_prompt(kit: RoomKit, arrangement: Arrangement) -> tuple[str, str]:
    """Return prompt and negative prompt. The pieces come first, since they are what the layout really has."""
    pieces = ", ".join(_in_words(arrangement))
    return f"{pieces}, {kit.positive}, {STAYS}", f"{kit.negative}, {NOT_WANTED}"


def _in_words(arrangement: Arrangement) -> list[str]:
    """Return the pieces that stand on the floor or hang, largest first: "linen sofa", "2 armchairs"."""
    own = [piece for piece in arrangement.pieces if " on " not in piece.name]
    own.sort(key=lambda piece: -piece.size[0] * max(piece.size[1], piece.size[2]))
    named = [(_plain(piece.name), _surface(piece)) for piece in own]
    counted = Counter(name for name, _ in named)
    surfaces = dict(reversed(named))
    words = []
    for name, count in counted.items():
        of_it = f"{surfaces[name]} {name}" if surfaces[name] else name
        words.append(f"{count} {of_it}s" if count > 1 else of_it)
    return words[:MOST_PIECES]


def _plain(name: str) -> str:
    """Return what a piece is, without its number and place: "chair 3", "left nightstand", "art over sofa"."""
    return re.sub(r"^(left|right)\s+|(\s+\d+|\s+(over|by|beside|at|left|right)\b.*)$", "", name).strip()


def _surface(piece: PlacedPiece) -> str:
    """Return the surface of a piece's main role, where it tells something of it: "linen" of a sofa."""
    first = next((finish.surface for finish in piece.finishes.values()), "")
    return first if first in _SURFACES and not piece.name.startswith(_FRAMED) else ""
