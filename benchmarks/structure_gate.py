"""Structure gate: what share of tampered stagings it catches, and of honest ones it rejects, on rooms kept aside.

Limits were set on the first half of the rooms (every other one); what is counted here are the others. Each image is
judged with the furniture's alpha known (our renderer, and diffusion guided by it) and from the edit mask alone.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from benchmarks.annotated_rooms import REAL_ROOMS, SAMPLE_ROOMS, AnnotatedRoom
from benchmarks.machine import machine
from benchmarks.tampering import TAMPERS, make_case
from listing_media_dagster.staging.room import Opening
from listing_media_dagster.staging.structure_gate import judge_structure

HELD_OUT = {"sample listing": (1, 3, 4), "photos": (0, 2, 4)}
HONEST, LIES = 36, 8
"""Stagings a room: honest ones, and tampered ones of each kind."""


def run() -> dict[str, Any]:
    """Return {name, ours, peers, ratio, machine}: `ours` holds a confusion matrix for each set and way of judging."""
    sets = {"sample listing": SAMPLE_ROOMS, "photos": tuple(room for room in REAL_ROOMS if room.file.exists())}
    ours = {}
    for name, rooms in sets.items():
        if len(rooms) > max(HELD_OUT[name]):
            ours[name] = judge_rooms([rooms[number] for number in HELD_OUT[name]], HONEST, LIES)
    return {"name": "structure_gate", "ours": ours, "peers": {}, "ratio": {}, "machine": machine()}


def judge_rooms(rooms: Sequence[AnnotatedRoom], honest: int, lies: int) -> dict[str, Any]:
    """Return for each way of judging what was rejected of each kind, the shares, and the median CPU seconds."""
    rejected: dict[str, Counter[str]] = {"furniture known": Counter(), "mask only": Counter()}
    judged: Counter[str] = Counter()
    seconds = []
    for number, room in enumerate(rooms):
        base = room.photo()
        size = np.array([base.shape[1], base.shape[0]], float)
        floor = np.zeros(base.shape[:2], np.uint8)
        cv2.fillPoly(floor, [np.round(room.floor * size).astype(np.int32)], 1)
        openings = [Opening(each.kind, each.outline * size, (0.0, 1.0), 0.0, 2.0) for each in room.openings]
        edges = [tuple(edge) for edge in room.edges * np.tile(size, 2)]
        for kind in ("honest", *TAMPERS):
            for turn in range(honest if kind == "honest" else lies):
                case = make_case(base, room, kind, 500 + 10000 * number + 31 * turn)
                judged[kind] += 1
                for way, furniture in (("furniture known", case.staging.furniture), ("mask only", None)):
                    began = time.process_time()
                    verdict = judge_structure(
                        base, case.staging.rgb, case.declared, furniture, openings, edges, floor > 0
                    )
                    seconds.append(time.process_time() - began)
                    rejected[way][kind] += verdict.outcome == "failed"
    return {way: _matrix(judged, counts) for way, counts in rejected.items()} | {
        "cpu_s": round(statistics.median(seconds), 3)
    }


def _matrix(judged: Counter[str], rejected: Counter[str]) -> dict[str, Any]:
    lies = [kind for kind in judged if kind != "honest"]
    return {
        "rejected": {kind: f"{rejected[kind]} of {judged[kind]}" for kind in judged},
        "caught": round(sum(rejected[kind] for kind in lies) / sum(judged[kind] for kind in lies), 3),
        "false_alarms": round(rejected["honest"] / judged["honest"], 3),
    }
