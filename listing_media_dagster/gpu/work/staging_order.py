"""What a job of staging says: what may stage, and how each room is to be furnished. Light to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from listing_media_dagster.gpu.job import ModelRef
from listing_media_dagster.listing import Noun, Room, fingerprint
from listing_media_dagster.staging.arrangement import Arrangement
from listing_media_dagster.staging.kits import DesignKit

if TYPE_CHECKING:
    from listing_media_dagster.staging.rendered import RenderedStaging

BASE = "base"
STAGED = "staged.jpg"


class BackEndRef(Noun):
    """A back end that may be asked: what builds it (`BACK_ENDS`), and the models it may use, best first."""

    name: str
    models: tuple[ModelRef, ...] = ()
    segmenter: ModelRef | None = None


class StagingOrder(Noun):
    """How one room is to be furnished. `versions` are those of the back ends that the order was written for.

    With a `layout` exactly its pieces are rendered again.
    """

    room: Room
    kit: DesignKit
    pieces_seed: int = 0
    focal_length_35mm: float | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    layout: Arrangement | None = None

    def as_parameters(self) -> dict[str, Any]:
        """Return the order as JSON holds it; what a kit left unsaid stays so, which is how its rooms inherit."""
        return self.model_dump(mode="json", exclude_unset=True)


class ClipTerms(Noun):
    """The encoder that judges on the ladder of seeds, and the CLIPScore from which it accepts."""

    model: ModelRef
    threshold: float


class StagingTerms(Noun):
    """What holds for all rooms of a job: its `parameters`."""

    back_ends: tuple[BackEndRef, ...]
    own_furniture: str = ""
    clip: ClipTerms | None = None


def diffusion_version(ref: BackEndRef, rendered: RenderedStaging, kit: str) -> str:
    """Return what goes into fingerprints for diffusion that may use `ref`'s models, wherever it runs."""
    from listing_media_dagster.staging.diffused import VERSION

    models = [model.model_dump() for model in (*ref.models, *((ref.segmenter,) if ref.segmenter else ()))]
    return fingerprint(version=VERSION, rendered=rendered.version_for(kit), models=models)
