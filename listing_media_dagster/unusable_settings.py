"""What can be told to be wrong with the settings before any work: values that no run can use, names that nobody reads.

The types of `settings.py` refuse what is wrong in itself; here is what depends on the code or the files that it names.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from dotenv import dotenv_values

from listing_media_dagster.settings import Settings

PREFIX = "LISTING_MEDIA_"
# Read by others than Settings: Docker Compose, the benchmarks, processes that a run starts.
_OF_OTHERS = frozenset({"EXTRAS", "BENCHMARK_HERE", "RUN_ID", "PARENT_PID"})
_DEVICE = re.compile(r"\d+|-1|(GPU|MIG)-\S+")


def unusable_settings(at: Settings) -> list[str]:
    """Return a sentence for each setting that a run would fail on, naming the variable and what it may be."""
    return list(_unusable(at))


def _unusable(at: Settings) -> Iterator[str]:
    from listing_media_dagster.assets.furnishing import rendered_staging
    from listing_media_dagster.gpu.choice import decide_policy
    from listing_media_dagster.gpu.routes.table import UnknownRoute
    from listing_media_dagster.models.catalogue import BadCatalogue, catalogue
    from listing_media_dagster.models.shortlist import BadWishes, read_wishes
    from listing_media_dagster.staging.furniture.own_furniture import BadFurniture
    from listing_media_dagster.staging.kits import BadKit

    try:
        decide_policy(at.routes)
    except UnknownRoute as unknown:
        yield str(unknown)
    devices = [name.strip() for name in at.gpu_devices.split(",") if name.strip()]
    if at.gpu_devices not in ("auto", "none") and (wrong := [name for name in devices if not _DEVICE.fullmatch(name)]):
        yield f"{PREFIX}GPU_DEVICES names {wrong[0]!r}; write auto, none, or a list such as 0,1 or GPU-…"
    try:
        read_wishes(at.models, catalogue(at.model_catalogue).models)
    except BadWishes as wrong_wish:
        yield f"{PREFIX}MODELS: {wrong_wish}"
    except BadCatalogue as bad:
        yield f"{PREFIX}MODEL_CATALOGUE: {bad}"
    if at.design_kits or at.furniture:
        try:
            rendered_staging(at)
        except BadFurniture as bad:
            yield f"{PREFIX}FURNITURE: {bad}"
        except BadKit as bad:
            yield f"{PREFIX}DESIGN_KITS: {bad}"


def unknown_kit(style: str) -> list[str]:
    """Return a sentence if `style` names no kit that is installed here."""
    from listing_media_dagster.assets.furnishing import installed_kits
    from listing_media_dagster.staging.kits import BadKit, find_kit

    try:
        find_kit(style, installed_kits())
    except BadKit as unknown:
        return [str(unknown)]
    return []


def unread_variables(environment: Mapping[str, str], dotenv: Path = Path(".env")) -> list[str]:
    """Return a sentence for each variable of the environment or `dotenv` that looks like a setting and is none."""
    known = {name.upper() for name in Settings.model_fields} | _OF_OTHERS
    given = {**dict.fromkeys(environment, "the environment"), **dict.fromkeys(dotenv_values(dotenv), str(dotenv))}
    unread = []
    for variable, where in sorted(given.items()):
        if not variable.upper().startswith(PREFIX) or variable.upper().removeprefix(PREFIX) in known:
            continue
        meant = difflib.get_close_matches(variable.upper().removeprefix(PREFIX), known - _OF_OTHERS, n=1)
        unread.append(f"{variable} in {where} is no setting" + (f": {PREFIX}{meant[0]}?" if meant else ""))
    return unread
