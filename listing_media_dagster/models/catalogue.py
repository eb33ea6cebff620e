"""Which models the pipeline knows: `catalogue.yaml`, the only place a model is named, and what an installation adds."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import ValidationError, model_validator

from listing_media_dagster.models.entry import CatalogueEntry, Lora, ModelId, Record
from listing_media_dagster.models.first_fault import first_fault


class AddedLora(Lora):
    """A LoRA of one's own and the entry that it is added to."""

    to: ModelId


class Catalogue(Record):
    """Models, and LoRAs to be added to models that another catalogue has."""

    models: tuple[CatalogueEntry, ...] = ()
    loras: tuple[AddedLora, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [entry.id for entry in self.models]
        twice = sorted({model_id for model_id in ids if ids.count(model_id) > 1})
        if twice:
            raise ValueError(f"these model ids are listed twice: {', '.join(twice)}")
        return self


class BadCatalogue(ValueError):
    """A catalogue that can't be used; the message names the file, the place in it and what is wrong there."""


def read_catalogue(text: str, source: str = "catalogue") -> Catalogue:
    """Return the catalogue written in `text` (YAML); raises `BadCatalogue` naming `source` and what is wrong."""
    try:
        return Catalogue.model_validate(yaml.safe_load(text) or {})
    except (yaml.YAMLError, RecursionError) as wrong:
        raise BadCatalogue(f"{source} isn't YAML: {str(wrong).splitlines()[0]}") from wrong
    except ValidationError as wrong:
        raise BadCatalogue(f"{source}: {first_fault(wrong)}") from wrong


@lru_cache
def catalogue(own: Path | None = None) -> Catalogue:
    """Return the catalogue this package ships, with what `own` (a YAML file, or a folder of them) adds to it.

    Raises `BadCatalogue` where `own` can't be read, takes an id that is taken, or adds a LoRA to no model.
    """
    shipped = read_catalogue(files(__package__).joinpath("catalogue.yaml").read_text(encoding="utf-8"))
    return shipped if own is None else _with_own(shipped, own.expanduser())


def catalogue_entry(model_id: str, own: Path | None = None) -> CatalogueEntry:
    """Return the entry `model_id`, or raise `LookupError` naming the ones there are."""
    for entry in catalogue(own).models:
        if entry.id == model_id:
            return entry
    known = ", ".join(entry.id for entry in catalogue(own).models)
    raise LookupError(f"no model is called {model_id!r}; there is {known}")


def _with_own(shipped: Catalogue, own: Path) -> Catalogue:
    """Return `shipped` with the entries and LoRAs that `own` adds; folders named there are relative to its file."""
    models = {entry.id: entry for entry in shipped.models}
    for path in sorted([*own.glob("*.yaml"), *own.glob("*.yml")]) if own.is_dir() else [own]:
        try:
            added = read_catalogue(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as unread:
            raise BadCatalogue(f"{path} can't be read: {unread}") from unread
        for entry in added.models:
            if entry.id in models:
                raise BadCatalogue(f"{path}: the id {entry.id} is taken; give the model another one")
            if any(part.packaged for part in entry.all_parts):
                raise BadCatalogue(f"{path}: {entry.id}: only the models this package ships can be packaged")
            models[entry.id] = _rooted(entry, path.parent)
        for lora in added.loras:
            if lora.to not in models:
                raise BadCatalogue(
                    f"{path}: LoRA {lora.role}: no model is called {lora.to!r}; there is {', '.join(models)}"
                )
            plain = Lora.model_validate(lora.model_dump(exclude={"to"}))
            grown = models[lora.to].model_dump(mode="json")
            grown["loras"].append(plain.model_dump(mode="json"))
            try:
                models[lora.to] = _rooted(CatalogueEntry.model_validate(grown), path.parent)
            except ValidationError as wrong:
                raise BadCatalogue(f"{path}: LoRA {lora.role}: {first_fault(wrong)}") from wrong
    return Catalogue(models=tuple(models.values()))


def _rooted(entry: CatalogueEntry, base: Path) -> CatalogueEntry:
    def rooted(part: Any) -> Any:
        return part if part.folder is None else part.model_copy(update={"folder": base / part.folder.expanduser()})

    return entry.model_copy(update={"parts": tuple(map(rooted, entry.parts)), "loras": tuple(map(rooted, entry.loras))})
