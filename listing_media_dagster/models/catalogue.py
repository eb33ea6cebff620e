"""Which models the pipeline knows: the typed reading of `catalogue.yaml`, the only place a model is named."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

PickleFreeFile = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*\.(safetensors|json|txt)$")]


class CatalogueEntry(BaseModel):
    """One model: its origin, licence and files. Only safetensors and text files can be named (pickles run code)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    purpose: str
    stage: str
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="on the Hugging Face hub")
    revision: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{40}$", description="full commit; None = fixed by the first pull"
    )
    licence: str
    commercial_use: bool
    notes: str = ""
    size_mb: int = Field(gt=0, description="of the whole pull, in 10^6 bytes, rounded")
    files: tuple[PickleFreeFile, ...] = Field(min_length=1)
    weights: PickleFreeFile = Field(description="the file whose digest names this model in ledgers and scores")
    architecture: str = Field(description="as the loading library calls it")
    pretrained: str = Field(description="whose training, as the loading library calls it")

    @model_validator(mode="after")
    def _weights_are_pulled(self) -> Self:
        if self.weights not in self.files or not self.weights.endswith(".safetensors"):
            raise ValueError(f"weights {self.weights!r} must be a safetensors file listed in `files`")
        return self

    @property
    def pull_command(self) -> str:
        return f"listing-media models pull {self.id}"


class Catalogue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[CatalogueEntry, ...]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [entry.id for entry in self.models]
        twice = sorted({model_id for model_id in ids if ids.count(model_id) > 1})
        if twice:
            raise ValueError(f"these model ids are listed twice: {', '.join(twice)}")
        return self


def read_catalogue(text: str) -> Catalogue:
    """Return the catalogue written in `text` (YAML); raises `pydantic.ValidationError` naming what is wrong."""
    return Catalogue.model_validate(yaml.safe_load(text))


@lru_cache
def catalogue() -> Catalogue:
    """Return the catalogue this package ships."""
    return read_catalogue(files(__package__).joinpath("catalogue.yaml").read_text(encoding="utf-8"))


def catalogue_entry(model_id: str) -> CatalogueEntry:
    """Return the entry `model_id`, or raise `LookupError` naming the ones there are."""
    for entry in catalogue().models:
        if entry.id == model_id:
            return entry
    known = ", ".join(entry.id for entry in catalogue().models)
    raise LookupError(f"no model is called {model_id!r}; there is {known}")
