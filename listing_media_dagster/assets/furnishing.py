"""The staging back ends of this installation: what is built in, and the kits and furniture its settings add."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from listing_media_dagster.listing import BadListing, Listing
from listing_media_dagster.settings import settings
from listing_media_dagster.staging.back_ends import StagingBackEnd
from listing_media_dagster.staging.furniture.designs import library
from listing_media_dagster.staging.furniture.own_furniture import load_own_furniture
from listing_media_dagster.staging.kits import DesignKit, load_kits

if TYPE_CHECKING:
    from listing_media_dagster.staging.rendered import RenderedStaging

DEFAULT_KIT = "scandinavian"


def installed_back_ends() -> tuple[StagingBackEnd, ...]:
    """Return the back ends that can stage here, best first."""
    return (rendered_staging(),)


def rendered_staging() -> RenderedStaging:
    """Return the embedded back end with the kits and furniture of this installation."""
    from listing_media_dagster.staging.rendered import RenderedStaging

    folder = settings().furniture
    own = load_own_furniture(folder) if folder else {}
    return RenderedStaging(installed_kits(), {**library(), **own}, _digest_of(folder) if folder else "")


@lru_cache(maxsize=1)
def installed_kits() -> dict[str, DesignKit]:
    return load_kits(settings().design_kits)


def check_kits(listing: Listing) -> None:
    """Raise `BadListing` if the listing asks for a design kit that isn't installed."""
    for asked in filter(None, (listing.style, *listing.stage.kits.values())):
        if asked not in installed_kits():
            known = ", ".join(sorted(installed_kits()))
            raise BadListing(f"{asked!r} is no design kit; use one of {known}")


def _digest_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
