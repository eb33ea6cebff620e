"""Design kits: a style's palette, finishes and pieces for each room, read strictly from `design_kits/*.yaml`.

Adding a kit is adding a file, here or in a folder of the user's own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from listing_media_dagster.listing import Noun, RoomType
from listing_media_dagster.staging.arrangement import Finish, Size
from listing_media_dagster.staging.furniture.designs import Design
from listing_media_dagster.staging.plain_yaml import read_plain_yaml

COLOUR = r"^#[0-9a-fA-F]{6}$"
MAX_BYTES = 256 * 1024
TAKES_AFTER = {"accents": "cushions", "throw": "cushions"}
"""Roles that a kit may leave unsaid, and whose finish they then get."""


class Slot(StrEnum):
    """A place that a layout may fill with a piece."""

    SOFA = "sofa"
    ARMCHAIR = "armchair"
    POUF = "pouf"
    COFFEE_TABLE = "coffee_table"
    SIDE_TABLE = "side_table"
    RUG = "rug"
    THROW = "throw"
    SIDEBOARD = "sideboard"
    MEDIA_UNIT = "media_unit"
    BOOKCASE = "bookcase"
    FLOOR_LAMP = "floor_lamp"
    TABLE_LAMP = "table_lamp"
    PLANT = "plant"
    SMALL_PLANT = "small_plant"
    ART = "art"
    MIRROR = "mirror"
    VASE = "vase"
    BOOKS = "books"
    TRAY = "tray"
    BOWL = "bowl"
    BASKET = "basket"
    BED = "bed"
    NIGHTSTAND = "nightstand"
    BENCH = "bench"
    DRESSER = "dresser"
    DINING_TABLE = "dining_table"
    CHAIR = "chair"
    DESK = "desk"
    OFFICE_CHAIR = "office_chair"
    TOY_SHELF = "toy_shelf"
    TEEPEE = "teepee"
    TOY = "toy"


class Furnishing(StrEnum):
    """What a kit can furnish a room as."""

    LIVING_ROOM = "living_room"
    BEDROOM = "bedroom"
    DINING_ROOM = "dining_room"
    HOME_OFFICE = "home_office"
    CHILDRENS_ROOM = "childrens_room"


FURNISHED_AS = {
    RoomType.LIVING_ROOM: Furnishing.LIVING_ROOM,
    RoomType.FAMILY_ROOM: Furnishing.LIVING_ROOM,
    RoomType.BASEMENT: Furnishing.LIVING_ROOM,
    RoomType.ATTIC: Furnishing.LIVING_ROOM,
    RoomType.UNKNOWN: Furnishing.LIVING_ROOM,
    RoomType.BEDROOM: Furnishing.BEDROOM,
    RoomType.PRIMARY_BEDROOM: Furnishing.BEDROOM,
    RoomType.DINING_ROOM: Furnishing.DINING_ROOM,
    RoomType.HOME_OFFICE: Furnishing.HOME_OFFICE,
    RoomType.CHILDRENS_ROOM: Furnishing.CHILDRENS_ROOM,
}


class BadKit(ValueError):
    """A design kit that can't be used, or a name that no kit has; the message says which file, key and value."""


def furnishing_of(room: RoomType) -> Furnishing:
    """Return what a room is furnished as. Raises BadKit for a room that kits have no furniture for."""
    if room not in FURNISHED_AS:
        known = [each.value for each in FURNISHED_AS if each is not RoomType.UNKNOWN]
        raise BadKit(f"no design kit furnishes a {room.value}; they furnish {_listed(known)}")
    return FURNISHED_AS[room]


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_many), Field(min_length=1)]


class PaletteFinish(Noun):
    """A surface in colours of the kit's palette."""

    surface: str
    colour: str
    accent: str | None = None


def _with_own_finishes(value: Any) -> Any:
    """Let designs be written as one name, a list of names, or names with the finishes that only they have."""
    if isinstance(value, str):
        return {value: {}}
    return {name: {} for name in value} if isinstance(value, list) else value


Side = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finishes = dict[str, Names]
Designs = Annotated[dict[str, Finishes], BeforeValidator(_with_own_finishes), Field(min_length=1)]


class Choice(Noun):
    """What may fill a slot: one of `designs`, and for each of its roles one of the named finishes."""

    designs: Designs | None = None
    size: tuple[Side, Side, Side] | None = Field(
        default=None, description="width, height, depth in m; default: the design's own"
    )
    finishes: Finishes = Field(default_factory=dict, description="of whichever design is chosen")
    count: int = Field(default=1, ge=1, le=8)
    optional: bool = Field(default=False, description="left out of some layouts")

    def over(self, house: Choice | None) -> Choice:
        """Return this choice, with what it doesn't say taken from the kit's choice for all rooms."""
        if house is None:
            return self
        said = {name: getattr(self, name) for name in self.model_fields_set}
        return house.model_copy(update={**said, "finishes": {**house.finishes, **self.finishes}})


class RoomKit(Noun):
    """A kit's answer for one kind of room. `caption` is what CLIP compares, the prompts are for diffusion."""

    caption: str = Field(min_length=10, max_length=200)
    positive: str = Field(min_length=10)
    negative: str = Field(min_length=3)
    pieces: dict[Slot, Choice | None] = Field(min_length=1)


class DesignKit(Noun):
    """A style. `pieces` are its choices in every room, `rooms` which of them a room has and what differs there."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    description: str
    palette: dict[str, Annotated[str, Field(pattern=COLOUR)]] = Field(min_length=1)
    finishes: dict[str, PaletteFinish] = Field(min_length=1)
    defaults: dict[str, Names] = Field(description="finishes of a role that a piece doesn't name")
    pieces: dict[Slot, Choice]
    rooms: dict[Furnishing, RoomKit] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for name, finish in self.finishes.items():
            for colour in filter(None, (finish.colour, finish.accent)):
                _expect(colour, self.palette, f"finishes.{name}: colour", "the palette")
        for role, names in self.defaults.items():
            for finish_name in names:
                _expect(finish_name, self.finishes, f"defaults.{role}: finish", "finishes")
        for where, choice in self.all_choices():
            if choice.designs is None:
                raise ValueError(f"{where}: no designs given, and the kit's own pieces have none for it")
            for finishes in (choice.finishes, *choice.designs.values()):
                for role, names in finishes.items():
                    for finish_name in names:
                        _expect(finish_name, self.finishes, f"{where}: {role} finish", "finishes")
        return self

    def all_choices(self) -> Iterator[tuple[str, Choice]]:
        """Yield each slot's place in the file with its choice, for all rooms."""
        for furnishing in self.rooms:
            for slot in self.rooms[furnishing].pieces:
                yield f"rooms.{furnishing}.pieces.{slot}", self.choice(furnishing, slot)

    def has(self, furnishing: Furnishing, slot: Slot) -> bool:
        return furnishing in self.rooms and slot in self.rooms[furnishing].pieces

    def choice(self, furnishing: Furnishing, slot: Slot) -> Choice:
        """Return what may fill `slot` of a room; KeyError if the room has no such slot."""
        own = self.rooms[furnishing].pieces[slot]
        return (own or Choice()).over(self.pieces.get(slot))

    def finish(self, name: str) -> Finish:
        """Return a named finish in sRGB."""
        finish = self.finishes[name]
        accent = self.palette[finish.accent] if finish.accent else None
        return Finish(surface=finish.surface, colour=self.palette[finish.colour], accent=accent)


@dataclass(frozen=True)
class Look:
    """A design with all its finishes, and the size it is to have, as chosen from a kit."""

    design: Design
    size: Size
    finishes: dict[str, Finish]
    seed: int


def choose_look(
    kit: DesignKit,
    furnishing: Furnishing,
    slot: Slot,
    pieces_seed: int,
    designs: Mapping[str, Design],
    index: int = 0,
) -> Look:
    """Return how the kit fills `slot` for a seed; `index` walks on through designs and finishes (toys on one rug).

    Each slot draws its design on its own, so that the sofa stays the same whatever else stands there. The finishes
    are drawn once for all slots and roles: lists of one length are read side by side, so that woods and accents match.
    """
    choice = kit.choice(furnishing, slot)
    names = tuple(choice.designs or ())  # never empty: the kit's validation saw to it
    rng = np.random.default_rng([pieces_seed % 2**32, zlib.crc32(slot.encode())])
    design = designs[names[(int(rng.integers(len(names))) + index) % len(names)]]
    said = {**choice.finishes, **(choice.designs or {})[design.name]}
    seed = int(rng.integers(2**31)) + index
    scheme = int(np.random.default_rng(pieces_seed % 2**32).integers(2**31)) + index
    finishes = {}
    for role in design.roles:
        if role in design.materials and role not in said:
            continue  # the piece brings its own surface
        among = _finishes_of(role, said, kit.defaults)
        finishes[role] = kit.finish(among[scheme % len(among)])
    return Look(design, choice.size or design.size, finishes, seed)


def _finishes_of(role: str, said: Mapping[str, Names], defaults: Mapping[str, Names]) -> Names:
    """Return the finishes that a role may get: its own, else those of the role that it takes after."""
    for name in filter(None, (role, TAKES_AFTER.get(role))):
        if among := said.get(name) or defaults.get(name):
            return among
    raise KeyError(role)  # the kit's validation saw to it


def load_kits(
    extra_folder: Path | None = None, own_designs: Mapping[str, Design] | None = None
) -> dict[str, DesignKit]:
    """Return the built-in kits and those in `extra_folder` by id; one of the user's replaces a built-in of its id.

    The user's kits may name `own_designs` beside the built-in ones. Raises BadKit naming the file and the key.
    """
    kits = dict(_built_in_kits())
    if extra_folder is not None:
        if not extra_folder.is_dir():
            raise BadKit(f"{extra_folder} is no folder: design kits are *.yaml files in one")
        own: dict[str, str] = {}
        for path in sorted(extra_folder.glob("*.y*ml")):
            if not path.is_file() or path.stat().st_size > MAX_BYTES:
                raise BadKit(f"{path.name}: a design kit is a file of at most {MAX_BYTES // 1024} kB; take it out")
            kit = _read(path.name, path.read_bytes(), own_designs or {})
            if kit.id in own:
                raise BadKit(f"{path.name}: id: {own[kit.id]} has the id {kit.id!r} already")
            own[kit.id] = path.name
            kits[kit.id] = kit
    return kits


@cache
def _built_in_kits() -> Mapping[str, DesignKit]:
    folder = files(__package__).joinpath("design_kits")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    return {kit.id: kit for kit in (_read(name, folder.joinpath(name).read_bytes(), {}) for name in names)}


def find_kit(name: str, kits: Mapping[str, DesignKit]) -> DesignKit:
    """Return the kit that people call `name` ("mid-century", "Mid Century"). Raises BadKit listing what there is."""
    wanted = name.strip().lower().replace("-", "_").replace(" ", "_")
    if wanted not in kits:
        raise BadKit(f"no design kit is called {name!r}; there are {_listed(sorted(kits))}")
    return kits[wanted]


def read_kit(name: str, text: bytes, designs: Mapping[str, Design], surfaces: Mapping[str, Any]) -> DesignKit:
    """Return the kit written in `text` (YAML). Raises BadKit, naming the file `name`, the key and what is wrong."""
    try:
        kit = DesignKit.model_validate(read_plain_yaml(text))
        _check_against(kit, designs, surfaces)
    except ValidationError as invalid:
        raise BadKit("; ".join(f"{name}: {_explain(error)}" for error in invalid.errors())) from None
    except yaml.YAMLError as broken:
        raise BadKit(f"{name}: not valid YAML ({str(broken).splitlines()[0]})") from None
    except ValueError as wrong:
        raise BadKit(f"{name}: {wrong}") from None
    return kit


def _read(name: str, text: bytes, own_designs: Mapping[str, Design]) -> DesignKit:
    from listing_media_dagster.staging.furniture.designs import library
    from listing_media_dagster.staging.furniture.finishes import SURFACES

    return read_kit(name, text, {**library(), **own_designs}, SURFACES)


def _check_against(kit: DesignKit, designs: Mapping[str, Design], surfaces: Mapping[str, Callable[..., Any]]) -> None:
    """Raise ValueError if the kit speaks of a design, role or surface that isn't there, or leaves a role bare."""
    for name, finish in kit.finishes.items():
        _expect(finish.surface, surfaces, f"finishes.{name}: surface", "the surfaces")
    for where, choice in kit.all_choices():
        for design_name, own in (choice.designs or {}).items():
            _expect(design_name, designs, f"{where}: design", "the furniture library")
            _check_size(choice.size, designs[design_name], where)
            roles = designs[design_name].roles
            for role in own:
                _expect(role, roles, f"{where}.{design_name}: role", "its roles")
            dressed = {*designs[design_name].materials, *own, *choice.finishes, *kit.defaults}
            if bare := sorted(role for role in roles if not {role, TAKES_AFTER.get(role)} & dressed):
                raise ValueError(f"{where}.{design_name}: no finish for {', '.join(bare)}, not even in defaults")
        anywhere = {role for name in choice.designs or () for role in designs[name].roles}
        for role in choice.finishes:
            _expect(role, anywhere, f"{where}.finishes: role", "its designs' roles")


def _check_size(size: Size | None, design: Design, where: str) -> None:
    for side, low, high in zip(size or design.size, design.smallest, design.largest, strict=True):
        if not low <= side <= high:
            raise ValueError(f"{where}.size: {design.name} can be {low} to {high} m there, not {side} m")


def _expect(name: str, known: Any, what: str, where: str) -> None:
    if name not in known:
        raise ValueError(f"{what} {name!r} is not in {where}; there are {_listed(sorted(known))}")


def _explain(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    message = "unknown key" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else str(message)


def _listed(names: Any) -> str:
    return ", ".join(str(name) for name in names)
