"""Which way a camera looks in a room whose walls stand square: focal length, horizon and yaw from straight edges.

Coarse search over focal length and yaw, then continuous refinement. Several frames are returned, best first: floor
boards and stairs can make a frame of their own, and only the walls' feet tell which one is the room's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from listing_media_dagster.photo.line_segments import Segments, lengths
from listing_media_dagster.photo.perspective import find_verticals
from listing_media_dagster.staging.arrays import Floats
from listing_media_dagster.staging.room import PhotoCamera

USUAL_FOCAL = 0.58
"""Interiors are shot at 16 to 28 mm on 36 mm: the median focal length in long edges, and how far (log) it strays."""
FOCAL_SPREAD = 0.28
EXIF_SPREAD = 0.06  # a corrected photo was cropped, which lengthens its focal length by a few percent
AGREEMENT = 0.016  # rad between an edge and the direction to its vanishing point at which it half counts
HORIZON_SPREAD = 0.06
"""Share of the picture's height by which photos corrected in perspective are shifted."""
FRAMES = 4


@dataclass(frozen=True)
class Frame:
    """A camera's stand in the room: degrees of yaw (right), pitch (up) and roll (clockwise), all for `size` px.

    `shift` is how far the principal point lies under the picture's middle, px. `support` is the share 0..1 of the
    edges' length that points along the frame's three directions.
    """

    size: tuple[int, int]
    focal_px: float
    yaw: float
    pitch: float
    roll: float
    shift: float = 0.0
    support: float = 0.0

    def camera(self, height: float) -> PhotoCamera:
        """Return the camera `height` m over the floor."""
        centre = (self.size[0] / 2, self.size[1] / 2 + self.shift)
        return PhotoCamera(self.size, self.focal_px, centre, camera_axes(self.yaw, self.pitch, self.roll), height)


def camera_axes(yaw: float, pitch: float, roll: float) -> Floats:
    """Return rows right, up, forward of a camera turned by degrees: yaw to the right, pitch up, roll clockwise."""
    yaw, pitch, roll = np.radians([yaw, pitch, roll])
    forward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), -np.cos(yaw) * np.cos(pitch)])
    right = np.array([np.cos(yaw), 0.0, np.sin(yaw)])
    up = np.cross(right, forward)
    return np.array([np.cos(roll) * right - np.sin(roll) * up, np.cos(roll) * up + np.sin(roll) * right, forward])


def fit_frames(
    segments: Segments, weight: Floats, size: tuple[int, int], focal_length_35mm: float | None = None
) -> list[Frame]:
    """Return up to `FRAMES` different frames, the best supported first; empty without edges.

    segments: px from the picture's centre; weight (n,): what each edge counts.
    """
    if len(segments) < 6:
        return []
    rough = 0.62 * max(size)
    verticals = find_verticals(segments, size, rough)
    lean = np.tan(np.radians(verticals.pitch_deg)) / rough if verticals.confidence > 0.1 else 0.0
    roll = verticals.roll_deg if verticals.confidence > 0.1 else 0.0
    wanted = _focal_prior(size, focal_length_35mm)
    focals = np.exp(np.log(wanted[0]) + wanted[1] * np.linspace(-1.8, 1.8, 7))
    stands = [(lean, -roll, shift) for shift in (-0.06, 0.0, 0.06)]
    stands += [(np.tan(np.radians(pitch)) / rough, 0.0, 0.0) for pitch in (-8.0, -4.0, 4.0)]
    hypotheses = [
        Frame(size, float(focal), float(yaw), float(np.degrees(np.arctan(lean * focal))), turn, shift * size[1])
        for focal in focals
        for lean, turn, shift in stands
        for yaw in np.arange(-45, 45, 2.0)
    ]
    scores = np.array([_score(segments, weight, frame, wanted) for frame in hypotheses])
    chosen: list[Frame] = []
    for number in np.argsort(-scores):
        frame = hypotheses[number]
        if all(_turned(frame.yaw, other.yaw) > 6 for other in chosen):
            chosen.append(frame)
        if len(chosen) == 2 * FRAMES:
            break
    refined = [refine_frame(segments, weight, frame, focal_length_35mm) for frame in chosen]
    different: list[Frame] = []
    for frame in sorted(refined, key=lambda frame: -frame.support):
        if all(_turned(frame.yaw, other.yaw) > 1.5 for other in different):
            different.append(frame)
    return different[:FRAMES]


def _turned(yaw: float, other: float) -> float:
    """Degrees between two yaws, which repeat every quarter turn."""
    return abs((yaw - other + 45) % 90 - 45)


def _focal_prior(size: tuple[int, int], focal_length_35mm: float | None) -> tuple[float, float]:
    if focal_length_35mm:
        return focal_length_35mm / 36 * max(size), EXIF_SPREAD
    return USUAL_FOCAL * max(size), FOCAL_SPREAD


def directions(frame: Frame) -> Floats:
    """Return the room's x, y and z axes (3, 3) as the camera sees them: rows of x right, y down, z forward."""
    return np.asarray((camera_axes(frame.yaw, frame.pitch, frame.roll) * [[1], [-1], [1]]).T)


def angles_off(segments: Segments, frame: Frame) -> Floats:
    """Return the radians (n, 3) by which each edge misses the vanishing points of x, y and z, signed."""
    middle = segments.mean(axis=1) - [0, frame.shift]
    along = segments[:, 1] - segments[:, 0]
    axes = directions(frame)
    toward = axes[None, :, :2] * frame.focal_px - axes[None, :, 2:] * middle[:, None]
    cross = along[:, None, 0] * toward[..., 1] - along[:, None, 1] * toward[..., 0]
    dot = along[:, None, 0] * toward[..., 0] + along[:, None, 1] * toward[..., 1]
    return np.asarray(np.arctan2(cross * np.where(dot < 0, -1, 1), np.abs(dot)))


def _score(segments: Segments, weight: Floats, frame: Frame, wanted: tuple[float, float]) -> float:
    off = angles_off(segments, frame)
    support = float((np.exp(-((off / (1.5 * AGREEMENT)) ** 2)).max(axis=1) * weight).sum() / weight.sum())
    odd = (np.log(frame.focal_px / wanted[0]) / wanted[1]) ** 2
    odd += (frame.shift / frame.size[1] / HORIZON_SPREAD) ** 2
    return float(support - 0.012 * odd)


def refine_frame(
    segments: Segments, weight: Floats, frame: Frame, focal_length_35mm: float | None = None, rounds: int = 12
) -> Frame:
    """Return the frame moved to where the edges near its vanishing points agree best (iterated, robust)."""
    wanted = _focal_prior(frame.size, focal_length_35mm)
    state = _state(frame)
    trust = np.array([1 / wanted[1], 0.0, 1 / 6.0, 1 / 3.0, 1 / HORIZON_SPREAD])
    rest = np.array([np.log(wanted[0]), 0.0, 0.0, 0.0, 0.0])
    share = weight / weight.sum() * len(weight)
    for number in range(rounds):
        width = AGREEMENT * (2.0 if number < 4 else 1.0 if number < 8 else 0.6)
        off = angles_off(segments, _of_state(frame, state))
        axis = np.abs(off).argmin(axis=1)
        rows = np.arange(len(off))
        error = off[rows, axis]
        sure = np.sqrt(share / (1 + (error / width) ** 2) ** 2) / width
        steps = np.array([1e-4, 0.01, 0.01, 0.01, 1e-4])
        slopes = np.empty((len(off), 5))
        for column, step in enumerate(steps):
            moved = state.copy()
            moved[column] += step
            slopes[:, column] = (angles_off(segments, _of_state(frame, moved))[rows, axis] - error) / step
        slopes, error = slopes * sure[:, None], error * sure
        normal = slopes.T @ slopes + np.diag(trust**2) * 4
        change = np.linalg.solve(normal, slopes.T @ error + 4 * trust**2 * (state - rest))
        state = state - np.clip(change, [-0.1, -3, -2, -1, -0.03], [0.1, 3, 2, 1, 0.03])
    better = _of_state(frame, state)
    off = np.abs(angles_off(segments, better)).min(axis=1)
    return replace(better, support=float((np.exp(-((off / AGREEMENT) ** 2)) * weight).sum() / weight.sum()))


def _state(frame: Frame) -> Floats:
    return np.array([np.log(frame.focal_px), frame.yaw, frame.pitch, frame.roll, frame.shift / frame.size[1]])


def _of_state(frame: Frame, state: Floats) -> Frame:
    focal, yaw, pitch, roll, shift = (float(value) for value in state)
    yaw = (yaw + 45) % 90 - 45  # a quarter turn further the same walls stand
    return replace(frame, focal_px=float(np.exp(focal)), yaw=yaw, pitch=pitch, roll=roll, shift=shift * frame.size[1])


def edge_weights(segments: Segments) -> Floats:
    """What each edge counts by its length alone, capped so that one long edge doesn't outvote a room."""
    reach = lengths(segments)
    return np.minimum(reach, 0.35 * reach.max() if len(reach) else 1.0)
