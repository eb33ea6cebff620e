"""The staging back ends of this installation: what is built in, and the kits and furniture its settings add."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from listing_media_dagster.gpu.job import ModelRef
from listing_media_dagster.gpu.work.staging_order import BackEndRef, diffusion_version
from listing_media_dagster.listing import BadListing, Listing
from listing_media_dagster.settings import Settings, settings
from listing_media_dagster.staging.furniture.designs import library
from listing_media_dagster.staging.furniture.own_furniture import BadFurniture, load_own_furniture
from listing_media_dagster.staging.kits import BadKit, DesignKit, find_kit, load_kits

if TYPE_CHECKING:
    from listing_media_dagster.staging.rendered import RenderedStaging

DEFAULT_KIT = "scandinavian"


@dataclass(frozen=True)
class PlannedBackEnd:
    """A back end as a job asks for it; the machine that works the job off has it. `version_for` takes a kit's id."""

    ref: BackEndRef
    version_for: Callable[[str], str]


def installed_back_ends(
    models: tuple[ModelRef, ...] = (), segmenter: ModelRef | None = None
) -> tuple[PlannedBackEnd, ...]:
    """Return the back ends that may stage, best first: diffusion with these `models` if any, then the embedded one."""
    rendered = rendered_staging(settings())
    embedded = PlannedBackEnd(BackEndRef(name=rendered.name), rendered.version_for)
    if not models:
        return (embedded,)
    ref = BackEndRef(name="diffusion", models=models, segmenter=segmenter)
    return (PlannedBackEnd(ref, lambda kit: diffusion_version(ref, rendered, kit)), embedded)


def installed_kits() -> Mapping[str, DesignKit]:
    """Return the kits that rooms can be furnished with here, by id."""
    return rendered_staging(settings()).kits


def own_furniture_digest(at: Settings) -> str:
    """Return the digest of the furniture that the settings add; empty if they add none."""
    return _digest_of(at.furniture) if at.furniture else ""


def rendered_staging(at: Settings) -> RenderedStaging:
    """Return the embedded back end with the kits and furniture of an installation.

    Raises BadKit or BadFurniture, naming the file, if one that the settings add can't be used.
    """
    from listing_media_dagster.staging.rendered import RenderedStaging

    folder = at.furniture
    own = load_own_furniture(folder) if folder else {}
    kits = load_kits(at.design_kits, own)
    return RenderedStaging(kits, {**library(), **own}, own_furniture_digest(at))


def with_known_kits(listing: Listing) -> Listing:
    """Return the listing with the ids of the kits it asks for. Raises `BadListing` for one that isn't installed."""
    if listing.style is None and not listing.stage.kits:
        return listing
    kits = installed_kits()
    try:
        style = find_kit(listing.style, kits).id if listing.style else None
        named = {file: find_kit(name, kits).id for file, name in listing.stage.kits.items()}
    except BadKit as unknown:
        raise BadListing(str(unknown)) from None
    return listing.overridden_by(style=style, stage=listing.stage.model_copy(update={"kits": named}).model_dump())


def _digest_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(os.fsencode(file.relative_to(folder)) + b"\0")
        try:
            with file.open("rb") as opened:
                while block := opened.read(1 << 20):
                    digest.update(block)
        except OSError as unread:
            raise BadFurniture(f"{file.name}: can't be read ({unread.strerror}); let this user read it") from unread
    return digest.hexdigest()
