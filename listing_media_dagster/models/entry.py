"""One model as the catalogue tells of it: its parts, its licence, what it needs, how it is asked. Nothing but data.

An entry is what a stage chooses; it is made of parts, each from a repository of its own (SDXL: "base", "vae",
"controlnet"), and of LoRA files. A loader never builds a path itself: `find_weights(entry, …)` returns a verified
`WeightsFolder`, whose `part(role)` is the folder to hand to `from_pretrained`, laid out as in the repository, and whose
`file(role)` is the one safetensors file of a part that has only one (a LoRA).

    folder = find_weights(entry, None, models_dir)
    variant = entry.part("controlnet").variant
    controlnet = ControlNetUnionModel.from_pretrained(folder.part("controlnet"), variant=variant)
    pipeline.load_lora_weights(folder.part("lightning"), weight_name=folder.file("lightning").name)
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from listing_media_dagster.listing import Sha256, fingerprint

Role = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
ModelId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")]
Repository = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
# A path or glob within a repository; only what can't run code when it is read may be named.
FilePattern = Annotated[
    str,
    StringConstraints(pattern=r"^(?:[A-Za-z0-9*][\w.*-]*/)*[A-Za-z0-9*][\w.*-]*\.(?:safetensors|json|txt|jinja|onnx)$"),
]
Dtype = Literal["float16", "bfloat16", "float32"]
Control = Literal["mask", "depth", "lines", "segments", "tile", "reference"]
Way = Literal["resident", "offload", "cpu"]


class Stage(StrEnum):
    """What an entry can be chosen for."""

    STAGING = "staging"
    DECLUTTER = "declutter"
    ENHANCEMENT = "enhancement"
    UPSCALE = "upscale"
    ANIMATION = "animation"
    DEPTH = "depth"
    SEGMENTATION = "segmentation"
    CLIP_SCORES = "clip_scores"
    FACES = "faces"


class CommercialUse(StrEnum):
    """What the licence says of using the output in business; anything but YES is refused unless allowed by name."""

    YES = "yes"
    CONDITIONAL = "conditional"
    NO = "no"


class Record(BaseModel):
    # Built when first used: most processes look at no model.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class FileDigest(Record):
    sha256: Sha256
    size: int = Field(ge=0)


class Part(Record):
    """Some files of one repository and the class they are loaded with.

    They come from `repo` on the hub, from a `folder` of one's own, or lie in this package (`packaged`). A `revision`
    or digest that isn't known here is left open: the first pull asks the hub once and `models.lock` holds the answer.
    """

    role: Role = Field(description="what this part is to its entry, and the name its folder is asked for by")
    loads: str = Field(
        pattern=r"^(?:(?:diffusers|transformers)\.[A-Z]\w*|open_clip|opencv|lora)$",
        description="class it is loaded with",
    )
    repo: Repository | None = Field(default=None, description="on the Hugging Face hub")
    revision: Revision | None = Field(default=None, description="full commit; None = fixed by the first pull")
    folder: Path | None = Field(default=None, description="on this machine, in place of a repository")
    packaged: bool = Field(default=False, description="files are paths within this package")
    files: tuple[FilePattern, ...] = Field(min_length=1, description="paths or globs; each must match something")
    optional_files: tuple[FilePattern, ...] = Field(default=(), description="fetched where the repository has them")
    subfolder: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][\w.-]*$", description="of the repository, where this part's files lie"
    )
    digests: dict[FilePattern, FileDigest] = Field(default_factory=dict, description="those known in advance")
    variant: Literal["fp16"] | None = Field(
        default=None, description="infix of the weight files, as diffusers wants it"
    )
    size_mb: int = Field(gt=0, description="of the whole pull, in 10^6 bytes, rounded")
    gated: bool = Field(default=False, description="the hub asks for a login and for consent to the licence")

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> Self:
        if [self.repo is not None, self.folder is not None, self.packaged].count(True) != 1:
            raise ValueError(f"part {self.role!r} needs exactly one of `repo`, `folder` and `packaged: true`")
        if self.revision is not None and self.repo is None:
            raise ValueError(f"part {self.role!r} has a `revision` but no `repo`")
        if self.packaged and any("*" in name or name not in self.digests for name in self.files):
            raise ValueError(f"part {self.role!r} is packaged: every file needs its name in full and its digest")
        if self.subfolder is not None and any(not name.startswith(f"{self.subfolder}/") for name in self.patterns):
            raise ValueError(f"part {self.role!r}: every file has to lie in its subfolder {self.subfolder!r}")
        if not self.packaged and not any(name.endswith(".safetensors") for name in self.files):
            raise ValueError(f"part {self.role!r} names no safetensors file")
        if not self.packaged and any(name.endswith(".onnx") for name in self.patterns):
            raise ValueError(f"part {self.role!r}: only packaged files may be ONNX")
        return self

    @property
    def patterns(self) -> tuple[str, ...]:
        return (*self.files, *self.optional_files)

    @property
    def is_pulled(self) -> bool:
        """True for a part that has to be fetched from the hub."""
        return self.repo is not None


class Lora(Part):
    """A low-rank change to an entry's main model; with `kits` it is applied in the rooms of those design kits only."""

    loads: Literal["lora"] = "lora"
    weight: float = Field(default=1.0, gt=0, le=2, description="the adapter's scale")
    kits: tuple[str, ...] = Field(default=(), description="ids of design kits; none = always applied")
    licence: str
    commercial_use: CommercialUse


class Vram(Record):
    """GiB of free VRAM that an entry wants for one picture of its own size."""

    resident: float = Field(gt=0, allow_inf_nan=False, description="everything on the GPU")
    offload: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="parts brought to the GPU in turn; None = not done"
    )


class Sampling(Record):
    """How pictures are drawn from a diffusion model: its own sampler, at its own size."""

    steps: int = Field(gt=0)
    guidance: float = Field(ge=0, description="classifier-free guidance; 0 or 1 = without")
    scheduler: str | None = Field(
        default=None, pattern=r"^[A-Z]\w+$", description="diffusers class; None = the model's"
    )
    scheduler_options: dict[str, Any] = Field(default_factory=dict, description="overrides of the scheduler's config")
    megapixels: float = Field(gt=0, description="that the model draws best; larger pictures are worked on reduced")
    multiple_of: int = Field(default=8, gt=0, description="px; both edges")
    control_scale: float = Field(default=1.0, ge=0, le=2, description="weight of the controls")


class Film(Record):
    """The clip that an image-to-video model makes by itself."""

    width: int = Field(gt=0)
    height: int = Field(gt=0)
    frames: int = Field(gt=0)
    fps: int = Field(gt=0)


class CatalogueEntry(Record):
    """One model as a stage can choose it: its parts, licence and needs.

    Loaders go by `family` and by each part's class. `parts[0]` is the main one: for diffusers the pipeline, into which
    the other parts are put.
    """

    id: ModelId
    title: str
    purpose: str
    stages: tuple[Stage, ...] = Field(min_length=1)
    family: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="which wrapper runs it")
    licence: str
    commercial_use: CommercialUse
    conditions: str = Field(default="", description="what the licence asks of whoever uses it in business")
    notes: str = ""
    parts: tuple[Part, ...] = Field(min_length=1)
    loras: tuple[Lora, ...] = ()
    dtypes: tuple[Dtype, ...] = Field(min_length=1, description="in order of preference; each gives good pictures")
    risky_dtypes: tuple[Dtype, ...] = Field(
        default=(), description="known to overflow at times: taken after every sound choice, and the result looked at"
    )
    vram_gb: Vram | None = Field(default=None, description="None = runs on the CPU only")
    cpu_seconds: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="a picture takes on 2 cores; None = not run on a CPU"
    )
    quality: int = Field(default=1, ge=0, description="among entries of a stage the highest that fits is taken")
    sampling: Sampling | None = None
    film: Film | None = None
    controls: tuple[Control, ...] = ()
    architecture: str | None = Field(default=None, description="as open_clip calls it")
    pretrained: str | None = Field(default=None, description="whose training, as open_clip calls it")
    test_only: bool = Field(default=False, description="made for tests: refused wherever results matter")

    @model_validator(mode="after")
    def _roles_are_unique(self) -> Self:
        roles = [part.role for part in self.all_parts]
        twice = sorted({role for role in roles if roles.count(role) > 1})
        if twice:
            raise ValueError(f"{self.id}: these roles are there twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _loras_have_something_to_change(self) -> Self:
        if self.loras and not self.parts[0].loads.startswith("diffusers."):
            raise ValueError(f"{self.id}: {self.parts[0].loads} takes no LoRA; only diffusion models do")
        return self

    @model_validator(mode="after")
    def _conditions_are_said(self) -> Self:
        if self.commercial_use is CommercialUse.CONDITIONAL and not self.conditions:
            raise ValueError(f"{self.id}: commercial_use is conditional, `conditions` has to say on what")
        return self

    @model_validator(mode="after")
    def _runs_somewhere(self) -> Self:
        if self.vram_gb is None and self.cpu_seconds is None:
            raise ValueError(f"{self.id}: neither `vram_gb` nor `cpu_seconds` is given: it would run nowhere")
        if self.cpu_seconds is not None and "float32" not in self.dtypes:
            raise ValueError(f"{self.id}: `cpu_seconds` is given, but float32 isn't among its dtypes")
        return self

    @property
    def all_parts(self) -> tuple[Part, ...]:
        return (*self.parts, *self.loras)

    def part(self, role: str) -> Part:
        """Return the part or LoRA called `role`, or raise `LookupError` naming the ones there are."""
        for part in self.all_parts:
            if part.role == role:
                return part
        raise LookupError(f"{self.id} has no part {role!r}; it has {', '.join(part.role for part in self.all_parts)}")

    def loras_for(self, kit: str | None) -> tuple[Lora, ...]:
        """Return the LoRAs to apply in a room of the design kit `kit`: those for every room and those for this kit."""
        return tuple(lora for lora in self.loras if not lora.kits or kit in lora.kits)

    @property
    def recipe(self) -> str:
        """Return the digest of what the catalogue says that decides the pictures.

        That is: the pinned commits of the weights, steps, sampler, LoRAs and their scales.
        """
        pins = [(part.role, part.repo, part.revision) for part in self.all_parts if part.revision]
        loras = [(lora.role, lora.weight, lora.kits) for lora in self.loras]
        sampling, film = (each.model_dump(mode="json") if each else None for each in (self.sampling, self.film))
        return fingerprint(pins=pins, sampling=sampling, film=film, controls=self.controls, loras=loras)

    @property
    def size_mb(self) -> int:
        """Of the whole pull, in 10^6 bytes."""
        return sum(part.size_mb for part in self.all_parts if part.is_pulled)

    @property
    def has_own_folders(self) -> bool:
        """True where no hub has all of it: part of it lies in a folder of one's own."""
        return any(part.folder is not None for part in self.all_parts)

    @property
    def licence_ids(self) -> tuple[str, ...]:
        """Return by what name its own licence is allowed, then that of each LoRA: one added later wasn't read yet."""
        return (self.id, *(f"{self.id}/{lora.role}" for lora in self.loras))

    @property
    def is_pinned(self) -> bool:
        """True where the catalogue alone says which weights those are, on every machine that pulls them."""
        return all(part.revision is not None for part in self.all_parts if not part.packaged)

    @property
    def pull_command(self) -> str:
        return f"listing-media models pull {self.id}"

    @property
    def how_to_get(self) -> str:
        """Return what brings its weights to a machine that has this catalogue."""
        own = [f"{part.role} has to lie in {part.folder}" for part in self.all_parts if part.folder is not None]
        pulled = [f"`{self.pull_command}` fetches them ({self.size_mb} MB)"] if self.size_mb else []
        return "; ".join([*pulled, *own])


def licence_refusal(entry: CatalogueEntry, allowed: Collection[str] = ()) -> str | None:
    """Return why the licence of `entry` (or of a LoRA in it) keeps a business from using it, or None if it doesn't.

    `allowed` holds those of `entry.licence_ids` that were read and allowed by whoever runs this installation.
    """
    asks = [("", entry.licence, entry.commercial_use, entry.conditions)]
    asks += [(f"its LoRA {lora.role}: ", lora.licence, lora.commercial_use, "") for lora in entry.loras]
    for licence_id, (whose, licence, use, conditions) in zip(entry.licence_ids, asks, strict=True):
        if use is not CommercialUse.YES and licence_id not in allowed:
            why = conditions.rstrip(".") or "not for business"
            how = f"to use it all the same, add {licence_id} to LISTING_MEDIA_ALLOW_LICENCES"
            return f"{whose}{licence}: {why}; {how}"
    return None
