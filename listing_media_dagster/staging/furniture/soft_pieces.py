"""The library's soft designs."""

from __future__ import annotations

from listing_media_dagster.staging.furniture import beds, cushions, rugs, sofas
from listing_media_dagster.staging.furniture.designs import Design, Kind

_SOFA, _ARMCHAIR, _BED, _RUG = (
    ((1.4, 0.7, 0.8), (2.8, 0.95, 1.1)),
    ((0.6, 0.65, 0.65), (1.05, 1.15, 1.05)),
    ((0.8, 0.5, 1.7), (2.1, 1.4, 2.4)),
    ((0.8, 0.008, 0.8), (4.5, 0.03, 4.5)),
)

DESIGNS: tuple[Design, ...] = (
    Design("sofa_track", Kind.SOFA, (2.1, 0.82, 0.92), *_SOFA, sofas.ROLES, sofas.track_sofa),
    Design(
        "armchair_track", Kind.ARMCHAIR, (0.84, 0.8, 0.86), *_ARMCHAIR, ("upholstery", "legs"), sofas.track_armchair
    ),
    Design(
        "bed_upholstered", Kind.BED, (1.64, 1.1, 2.15), *_BED, ("frame", "legs", *beds.BEDDING), beds.upholstered_bed
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
)
