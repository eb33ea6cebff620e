"""Every hard design is solid, of the stated size, and the same for the same seed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from listing_media_dagster.path_tracer.mitsuba_scene import _wound_along_normals
from listing_media_dagster.path_tracer.solids import Part, merged
from listing_media_dagster.staging.furniture.designs import Design
from listing_media_dagster.staging.furniture.hard_pieces import DESIGNS

EVERY = pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)


def bounds(parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    vertices = np.concatenate([part.vertices for part in parts])
    return vertices.min(0), vertices.max(0)


@cache
def built(design: Design) -> tuple[Part, ...]:
    return tuple(design.build(design.size, 5))


@EVERY
def test_a_piece_fills_its_stated_size_and_stands_on_the_floor(design: Design) -> None:
    for size in (design.smallest, design.largest):
        parts = design.build(size, 3)
        low, high = bounds(parts)
        width, height, depth = size
        assert np.allclose(low, (-width / 2, 0, -depth / 2), atol=0.01), size
        assert np.allclose(high, (width / 2, height, depth / 2), atol=0.01), size
        assert sum(len(part.faces) for part in parts) <= 60_000, size


@EVERY
def test_a_piece_uses_no_roles_but_those_it_declares(design: Design) -> None:
    assert {part.material for part in built(design)} <= set(design.roles)


@EVERY
def test_declared_roles_are_used_for_some_seed(design: Design) -> None:
    used = {part.material for part in built(design)}
    seeds = iter(range(8))
    while used != set(design.roles):
        used |= {part.material for part in design.build(design.size, next(seeds))}


@EVERY
def test_meshes_are_sound(design: Design) -> None:
    parts = built(design)
    assert sum(len(part.faces) for part in parts) <= 60_000
    for part in parts:
        assert np.isfinite(part.vertices).all()
        assert np.isfinite(part.uv).all()
        assert part.faces.max() < len(part.vertices)
        assert np.allclose(np.linalg.norm(part.normals, axis=1), 1, atol=0.02), part.material


@EVERY
def test_normals_point_out_of_solids(design: Design) -> None:
    """Wound along their normals, closed surfaces enclose a positive volume. Leaves and panes enclose none."""
    for role, part in merged(built(design)).items():
        if role in ("leaves", "glass", "soil"):
            continue
        a, b, c = (part.vertices[_wound_along_normals(part)[:, i]].astype(float) for i in range(3))
        assert np.einsum("ij,ij->", a, np.cross(b, c)) > 0, role


@EVERY
def test_the_same_seed_builds_the_same_piece_fast(design: Design) -> None:
    start = time.process_time()
    again = design.build(design.size, 5)
    assert time.process_time() - start < 0.3
    for one, other in zip(built(design), again, strict=True):
        assert np.array_equal(one.vertices, other.vertices)
        assert np.array_equal(one.uv, other.uv)


@EVERY
def test_its_usual_size_lies_between_its_smallest_and_largest(design: Design) -> None:
    assert all(
        low <= usual <= high for low, usual, high in zip(design.smallest, design.size, design.largest, strict=True)
    )
