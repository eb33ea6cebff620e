"""The library's soft designs."""

from __future__ import annotations

from listing_media_dagster.staging.furniture import (
    armchairs,
    beds,
    curtains,
    cushions,
    rugs,
    sofas,
    throws,
    wood_seating,
)
from listing_media_dagster.staging.furniture.designs import Design, Kind

_SOFA = ((1.4, 0.74, 0.8), (2.8, 0.95, 1.1))
_ARMCHAIR = ((0.64, 0.72, 0.66), (1.05, 0.95, 1.0))
_BED = ((0.95, 0.95, 1.9), (2.1, 1.4, 2.4))
SLIPCOVERED = tuple(role for role in sofas.ROLES if role != "legs")
_RUG = ((0.8, 0.008, 0.8), (4.5, 0.03, 4.5))

DESIGNS: tuple[Design, ...] = (
    Design("sofa_track", Kind.SOFA, (2.1, 0.82, 0.92), *_SOFA, sofas.ROLES, sofas.track_sofa),
    Design("sofa_rounded", Kind.SOFA, (2.2, 0.78, 0.98), *_SOFA, sofas.ROLES, sofas.rounded_sofa),
    Design("sofa_tufted", Kind.SOFA, (2.15, 0.8, 0.92), *_SOFA, sofas.ROLES, sofas.tufted_sofa),
    Design("sofa_loft", Kind.SOFA, (2.2, 0.76, 0.95), *_SOFA, sofas.ROLES, sofas.loft_sofa),
    Design("sofa_slipcover", Kind.SOFA, (2.15, 0.86, 0.95), *_SOFA, SLIPCOVERED, sofas.slipcover_sofa),
    Design(
        "armchair_track", Kind.ARMCHAIR, (0.84, 0.8, 0.86), *_ARMCHAIR, ("upholstery", "legs"), sofas.track_armchair
    ),
    Design("sofa_wood_frame", Kind.SOFA, (2.0, 0.8, 0.84), *_SOFA, sofas.ROLES[:-1], wood_seating.wood_frame_sofa),
    Design(
        "armchair_barrel", Kind.ARMCHAIR, (0.78, 0.74, 0.76), *_ARMCHAIR, armchairs.ROLES, armchairs.barrel_armchair
    ),
    Design(
        "armchair_wood_frame",
        Kind.ARMCHAIR,
        (0.72, 0.8, 0.8),
        *_ARMCHAIR,
        armchairs.ROLES,
        wood_seating.wood_frame_armchair,
    ),
    Design(
        "armchair_wing",
        Kind.ARMCHAIR,
        (0.78, 1.05, 0.84),
        (0.68, 0.95, 0.72),
        (0.95, 1.2, 1.0),
        armchairs.ROLES,
        armchairs.wing_armchair,
    ),
    Design(
        "pouf_round",
        Kind.POUF,
        (0.55, 0.38, 0.55),
        (0.35, 0.25, 0.35),
        (0.9, 0.5, 0.9),
        ("upholstery",),
        armchairs.round_pouf,
    ),
    Design(
        "bench_upholstered",
        Kind.BENCH,
        (1.3, 0.47, 0.42),
        (0.8, 0.38, 0.35),
        (1.8, 0.55, 0.55),
        armchairs.ROLES,
        armchairs.upholstered_bench,
    ),
    Design(
        "bed_upholstered", Kind.BED, (1.64, 1.1, 2.15), *_BED, ("frame", "legs", *beds.BEDDING), beds.upholstered_bed
    ),
    Design("bed_panel", Kind.BED, (1.68, 1.1, 2.16), *_BED, ("frame", *beds.BEDDING), beds.panel_bed),
    Design(
        "bed_platform",
        Kind.BED,
        (1.85, 0.85, 2.25),
        (1.1, 0.8, 2.0),
        (2.3, 1.1, 2.5),
        ("frame", "legs", *beds.BEDDING),
        beds.platform_bed,
    ),
    Design(
        "bed_metal",
        Kind.BED,
        (1.64, 1.05, 2.1),
        (0.9, 0.95, 1.9),
        (2.1, 1.3, 2.3),
        ("frame", *beds.BEDDING),
        beds.metal_bed,
    ),
    Design(
        "bed_child",
        Kind.BED,
        (0.98, 0.9, 2.06),
        (0.8, 0.84, 1.5),
        (1.3, 1.1, 2.2),
        ("frame", "legs", *beds.BEDDING),
        beds.child_bed,
    ),
    Design("rug_plain", Kind.RUG, (2.4, 0.014, 1.7), *_RUG, ("pile",), rugs.plain_rug),
    Design(
        "cushion_square",
        Kind.CUSHION,
        (0.46, 0.44, 0.22),
        (0.35, 0.35, 0.15),
        (0.6, 0.6, 0.3),
        ("cover",),
        cushions.cushion,
    ),
    Design(
        "cushion_lumbar",
        Kind.CUSHION,
        (0.55, 0.32, 0.18),
        (0.4, 0.25, 0.12),
        (0.8, 0.45, 0.3),
        ("cover",),
        cushions.cushion,
    ),
    Design("rug_border", Kind.RUG, (2.4, 0.012, 1.7), *_RUG, ("pile",), rugs.bordered_rug),
    Design("rug_geometric", Kind.RUG, (2.4, 0.014, 1.7), *_RUG, ("pile",), rugs.plain_rug),
    Design("rug_stripe", Kind.RUG, (2.4, 0.010, 1.7), *_RUG, ("pile",), rugs.plain_rug),
    Design("rug_round", Kind.RUG, (1.8, 0.014, 1.8), *_RUG, ("pile",), rugs.round_rug),
    Design(
        "curtains",
        Kind.CURTAINS,
        (2.0, 2.4, 0.14),
        (0.9, 1.2, 0.08),
        (4.5, 3.2, 0.25),
        ("cloth", "rod"),
        curtains.drawn_curtains,
    ),
    Design(
        "throw_folded",
        Kind.THROW,
        (0.22, 0.40, 0.50),
        (0.12, 0.05, 0.2),
        (2.0, 0.7, 0.9),
        ("cloth",),
        throws.folded_throw,
    ),
)
