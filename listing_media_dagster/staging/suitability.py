"""Whether a photo shows an empty interior that can be furnished, judged from its pixels alone, and else why not.

A staged kitchen or a second bed in a bedroom is worse than an odd empty room left alone: doubt is a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from listing_media_dagster.photo.look import estimate_look
from listing_media_dagster.staging.emptiness import find_bare_surfaces, measure_bareness, measure_variety

VERSION = "4"

_LONG_EDGE, _SHORT_EDGE = 800, 100  # px


@dataclass(frozen=True)
class Suitability:
    """The judgement: `refusal` is None for an empty interior, `confidence` 0.5..1, `evidence` the measured numbers."""

    refusal: str | None
    confidence: float
    evidence: dict[str, float]

    @property
    def is_exterior(self) -> bool:
        return self.evidence["exterior"] >= _EXTERIOR_FROM


@dataclass(frozen=True)
class Cue:
    """One measure's vote: (measured - border) / spread, at most 2.5 either way, times `weight`; `spread` has a sign.

    `most` is the most it says for an empty room: what few furnished rooms show tells nothing where it is missing.
    Beyond `never` the photo is refused whatever the other cues say. `otherwise` is said of a photo that fails by it.
    """

    measure: str
    border: float
    spread: float
    weight: float
    never: float
    otherwise: str
    most: float = 2.5

    def vote(self, evidence: dict[str, float]) -> float:
        return self.weight * float(np.clip((evidence[self.measure] - self.border) / self.spread, -2.5, self.most))

    def forbids(self, evidence: dict[str, float]) -> bool:
        return (evidence[self.measure] - self.never) / self.spread < 0


# What each measure is, `emptiness.measure_bareness` says. Borders lie between the empty rooms and the others of 3 real
# listings, 8 more real rooms, a rendered home and rendered rooms, each also mirrored, cropped, relit and recompressed;
# the weights are near those of a logistic regression on the same (those of variety and before_walls were set by hand).
CUES = (
    Cue("bare_walls", 0.36, 0.14, 1.0, 0.25, "cabinets, fittings or furniture stand along the walls"),
    Cue("things_on_floor", 0.17, -0.07, 0.9, 0.27, "the room is furnished or cluttered: things stand on the floor"),
    Cue("floor_corners", 19, -6, 0.7, 25, "the room is furnished or cluttered: things hide the floor's outline"),
    Cue("before_walls", 0.10, -0.06, 1.0, 0.28, "the room is furnished: something stands before the walls", most=0.0),
    Cue("variety", 0.75, -0.15, 0.5, 0.95, "the room is furnished or cluttered: many colours and shapes"),
    Cue("ceiling", 0.88, 0.08, 0.6, 0.70, "no plain ceiling is in view"),
    Cue("fine_lines", 0.125, -0.03, 0.5, 0.19, "tiles or cabinet fronts cover the walls, as in kitchens and bathrooms"),
    Cue("worktops", 0.33, -0.12, 0.4, 0.45, "looks like a kitchen or bathroom: a worktop runs along the walls"),
)
_DOUBT = 3.2  # what the votes must add up to before empty is as likely as not
_ACCEPTED_FROM = 0.6
_EXTERIOR_FROM = 0.5
_DARK_BELOW, _ONE_TONE_BELOW = 45.0, 30.0  # of 255; white rooms at high key have 40 to 100 of contrast
_OUTLINE_FROM = 1.5  # CIELAB units a pixel at the floor line: 2 from pale boards to white, 0.5 in a gradient
_FLOOR_FROM, _BREADTH_FROM = 0.10, 2.3  # share of the frame, m
_AT_EYE_LEVEL_UP_TO = 0.25  # share of the columns


def judge_suitability(rgb: NDArray[np.uint8]) -> Suitability:
    """Judge `rgb` (uint8 (H, W, 3), sRGB, upright, any size): may furniture be put into this picture?"""
    small = _at_most(rgb, _LONG_EDGE)
    if min(small.shape[:2]) < _SHORT_EDGE:
        return Suitability("not a room: too small or too narrow a picture", 1.0, {"exterior": 0.0, "emptiness": 0.0})
    evidence = {
        **_light(small),
        "exterior": estimate_look(small).exterior_likelihood,
        "variety": measure_variety(small),
    }
    evidence |= measure_bareness(find_bare_surfaces(small))
    votes = {cue: cue.vote(evidence) for cue in CUES}
    evidence["emptiness"] = float(1 / (1 + np.exp(_DOUBT - sum(votes.values()))))
    no_room = _no_room_in_view(evidence)
    refusal = no_room or _not_empty(evidence, votes)
    certainty = evidence["emptiness"] if refusal is None else 1 - evidence["emptiness"]
    confidence = max(0.9 if no_room else 0.5, certainty)
    return Suitability(refusal, confidence, {name: round(value, 4) for name, value in evidence.items()})


def _light(rgb: NDArray[np.uint8]) -> dict[str, float]:
    low, bright, high = np.percentile(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), [5, 75, 95])
    return {"brightness": float(bright), "contrast": float(high - low)}


def _no_room_in_view(evidence: dict[str, float]) -> str | None:
    """Why no interior with a floor to stand on can be made out, None if one can."""
    if evidence["brightness"] < _DARK_BELOW:
        return "too dark to make out a room"
    if evidence["contrast"] < _ONE_TONE_BELOW:
        return "not a room: the picture is all but one tone"
    if evidence["exterior"] >= _EXTERIOR_FROM:
        return "an exterior: sky or vegetation and no ceiling"
    if evidence["floor"] < _FLOOR_FROM:
        return f"too little floor in view ({evidence['floor']:.0%} of the picture)"
    if evidence["floor_at_eye_level"] > _AT_EYE_LEVEL_UP_TO:
        return "not a view of a room: what fills the foreground rises to eye level, as no floor does"
    if evidence["outline"] < _OUTLINE_FROM:
        return "not a room: no floor that ends at a wall can be made out"
    if evidence["floor_breadth"] < _BREADTH_FROM:
        return f"too little floor: about {evidence['floor_breadth']:.1f} m wide"
    return None


def _not_empty(evidence: dict[str, float], votes: dict[Cue, float]) -> str | None:
    """Why the room is no empty one, by the cue that speaks most against it; None if it is."""
    forbidding = [cue for cue in CUES if cue.forbids(evidence)]
    if evidence["emptiness"] >= _ACCEPTED_FROM and not forbidding:
        return None
    return min(forbidding or CUES, key=votes.__getitem__).otherwise


def _at_most(rgb: NDArray[np.uint8], long_edge: int) -> NDArray[np.uint8]:
    scale = long_edge / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
