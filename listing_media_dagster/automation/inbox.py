"""Decides what to do with the inbox: which drops are complete, which are new, which wait. Pure: it reads nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from listing_media_dagster.assets.drop import INBOX, READY_MARKER, is_left_by_computer
from listing_media_dagster.listing import BadListing, check_listing_id, is_listing_id
from listing_media_dagster.store.media_store import ListedObject, key_problem

REPORTED_PROBLEMS = 500


@dataclass(frozen=True)
class Drop:
    """What lies in `inbox/<listing_id>/` at one moment."""

    listing_id: str
    objects: tuple[ListedObject, ...]

    @property
    def prefix(self) -> str:
        return f"{INBOX}{self.listing_id}/"

    def name(self, listed: ListedObject) -> str:
        """Return the object's path within the drop."""
        return listed.key.removeprefix(self.prefix)

    @cached_property
    def content(self) -> tuple[ListedObject, ...]:
        """What a person delivered: neither the marker nor what their computer left beside it."""
        return tuple(
            listed
            for listed in self.objects
            if not is_left_by_computer(self.name(listed)) and self.name(listed) != READY_MARKER
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every delivered file's key, etag and size: equal as long as nobody changed anything."""
        rows = sorted((listed.key, listed.etag, listed.size) for listed in self.content)
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    @property
    def newest(self) -> datetime:
        return max(listed.modified for listed in self.objects)

    @property
    def is_declared_ready(self) -> bool:
        """Whether `_READY` was put there last. Parallel uploaders may send it first: then it says nothing."""
        marker = next((listed for listed in self.objects if self.name(listed) == READY_MARKER), None)
        return marker is not None and all(listed.modified <= marker.modified for listed in self.content)


class Sighting(BaseModel):
    """Since when (POSIX seconds) a drop has had this fingerprint."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    since: float


class UploadCursor(BaseModel):
    """What the sensor remembers between ticks; losing it costs nothing but the quiet period."""

    model_config = ConfigDict(frozen=True)

    seen: dict[str, Sighting] = Field(default_factory=dict, description="listing -> its drop as last seen")
    requested: dict[str, str] = Field(
        default_factory=dict, description="listing -> fingerprint a run was requested for"
    )
    moving: dict[str, str] = Field(default_factory=dict, description="listing -> fingerprint of a drop being put away")
    reported: tuple[str, ...] = Field(default=(), description="problems somebody has been told of")
    start_after: str | None = Field(default=None, description="where the next listing of a huge inbox goes on")

    @classmethod
    def parse(cls, text: str | None) -> UploadCursor:
        try:
            return cls.model_validate_json(text) if text else cls()
        except ValidationError:
            return cls()  # of another version

    def covers(self, until: str | None, listing_id: str) -> bool:
        """Whether a listing of the inbox from `start_after` to `until` shows all of this listing's drop."""
        prefix = f"{INBOX}{listing_id}/"
        return (self.start_after is None or prefix > self.start_after) and (until is None or prefix <= until)


@dataclass(frozen=True)
class TickPlan:
    """What one tick does: request a run for each of `requests`, see whether each of `settle` can be put away."""

    requests: tuple[Drop, ...]
    settle: tuple[Drop, ...]
    waiting: Mapping[str, str]
    problems: tuple[str, ...]
    cursor: UploadCursor


def group_drops(objects: Iterable[ListedObject]) -> tuple[list[Drop], list[str]]:
    """Sort what lies in the inbox into one drop a listing, and say what can't belong to any."""
    by_folder: dict[str, list[ListedObject]] = {}
    problems: dict[str, None] = {}
    for listed in objects:
        folder, slash, name = listed.key.removeprefix(INBOX).partition("/")
        if not slash:
            if not is_left_by_computer(folder):
                problems[f"{listed.key!r} lies in the inbox itself: put it into a folder named after its listing"] = (
                    None
                )
        elif not is_listing_id(folder):
            problems[f"the folder {INBOX + folder!r} is ignored: {_why_not(folder)}"] = None
        elif reason := key_problem(listed.key):
            problems[f"the file {name!r} of listing {folder} is ignored: {reason}; rename it"] = None
        else:
            by_folder.setdefault(folder, []).append(listed)
    drops = [Drop(listing_id, tuple(members)) for listing_id, members in by_folder.items()]
    return [drop for drop in drops if drop.content], list(problems)


def _why_not(folder: str) -> str:
    try:
        check_listing_id(folder)
    except BadListing as bad:
        return str(bad)
    return ""


def plan_tick(
    objects: Iterable[ListedObject],
    cursor: UploadCursor,
    now: datetime,
    quiet_seconds: float,
    cap: int,
    in_flight: Set[str],
    until: str | None = None,
) -> TickPlan:
    """Decide what happens to the drops among `objects`, the inbox from `cursor.start_after` to `until` (None: its end).

    A drop is complete when `_READY` came last, or when neither its fingerprint nor its times have moved for
    `quiet_seconds`: copies that keep old times (rsync -t) look finished from their first second, so times alone won't
    do. At most `cap` runs are requested, the longest-waiting drops first.
    """
    drops, problems = group_drops(objects)
    seen = {listing: sighting for listing, sighting in cursor.seen.items() if not cursor.covers(until, listing)}
    requested = {listing: print_ for listing, print_ in cursor.requested.items() if not cursor.covers(until, listing)}
    waiting: dict[str, str] = {}
    ready: list[Drop] = []
    settle: list[Drop] = []
    for drop in drops:
        listing = drop.listing_id
        before = cursor.seen.get(listing)
        if before is None or before.fingerprint != drop.fingerprint:
            before = Sighting(fingerprint=drop.fingerprint, since=now.timestamp())
        seen[listing] = before
        if cursor.requested.get(listing) == drop.fingerprint:
            requested[listing] = drop.fingerprint
            if listing in in_flight:
                waiting[listing] = "its run isn't finished"
            else:
                settle.append(drop)
        elif listing in in_flight:
            waiting[listing] = "a run of the listing is in flight"
        elif reason := _still_arriving(drop, before, now, quiet_seconds):
            waiting[listing] = reason
        else:
            ready.append(drop)
    ready.sort(key=lambda drop: (drop.newest, drop.listing_id))
    for drop in ready[cap:]:
        waiting[drop.listing_id] = f"{cap} runs were requested in this tick already"
    requested |= {drop.listing_id: drop.fingerprint for drop in ready[:cap]}
    return TickPlan(
        requests=tuple(ready[:cap]),
        settle=tuple(settle),
        waiting=waiting,
        problems=tuple(problems),
        cursor=cursor.model_copy(update={"seen": seen, "requested": requested, "start_after": until}),
    )


def news(reported: Iterable[str], problems: Iterable[str], whole_inbox: bool) -> tuple[list[str], tuple[str, ...]]:
    """Return the problems nobody has been told of, and what to remember so that they aren't told every tick.

    What is gone is forgotten, so that it is told again should it come back; only a look at the whole inbox shows that.
    """
    reported, problems = tuple(reported), tuple(dict.fromkeys(problems))
    new = [problem for problem in problems if problem not in reported]
    still = [problem for problem in reported if problem in problems or not whole_inbox]
    return new, (*still, *new)[-REPORTED_PROBLEMS:]


def _still_arriving(drop: Drop, sighting: Sighting, now: datetime, quiet_seconds: float) -> str | None:
    if drop.is_declared_ready:
        return None
    quiet = timedelta(seconds=quiet_seconds)
    unchanged_since = max(drop.newest, datetime.fromtimestamp(sighting.since, now.tzinfo))
    # Cameras and laptops with a clock ahead must not hold a drop back for ever: what we saw counts then.
    if drop.newest > now:
        unchanged_since = datetime.fromtimestamp(sighting.since, now.tzinfo)
    left = unchanged_since + quiet - now
    return (
        f"files may still be arriving: {left.total_seconds():.0f} s to go, or put {READY_MARKER} there"
        if left > timedelta()
        else None
    )
