"""Which model a stage would use on a machine, weights aside: what `models list` and the doctor show of the settings."""

from __future__ import annotations

from collections.abc import Sequence

from listing_media_dagster.models.choose import Choice, choose
from listing_media_dagster.models.entry import CatalogueEntry, Stage
from listing_media_dagster.models.hardware import Hardware
from listing_media_dagster.models.shortlist import AUTO, NONE, read_wishes, shortlist
from listing_media_dagster.settings import Settings


def wished_choice(stage: Stage, hardware: Hardware, entries: Sequence[CatalogueEntry], at: Settings) -> Choice:
    """Return what `stage` would run with on `hardware` if all weights were here, by the rules that jobs go by.

    Raises `BadWishes` if LISTING_MEDIA_MODELS names what there isn't.
    """
    wish = read_wishes(at.models, entries).get(stage, AUTO)
    everything = {entry.id for entry in entries}
    licences = at.allowed_licences
    listed = shortlist(stage, [hardware], entries=entries, here=everything, wish=wish, allowed_licences=licences)
    if wish == NONE:
        return Choice(stage, (), {entry.id: listed.refusal for entry in entries if stage in entry.stages})
    only = None if wish == AUTO else wish
    return choose(stage, hardware, entries=entries, allowed_licences=licences, slow_cpu=listed.on_cpu, only=only)
