"""Which way a job goes: the first route of the policy that doesn't refuse, with what the others said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from listing_media_dagster.gpu.job import ModelJob, Needs
from listing_media_dagster.gpu.routes.route import Route
from listing_media_dagster.gpu.routes.table import check_route_names

RUN_TAG = "listing_media/routes"
NOT_ENABLED = "not enabled here; LISTING_MEDIA_ROUTES names it where it is"


@dataclass(frozen=True)
class Policy:
    """The routes that may be taken, best first, where that was said, and those that were asked for in vain."""

    routes: tuple[str, ...]
    said_by: str = "LISTING_MEDIA_ROUTES"
    not_enabled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """`route` is None where every one refused; `refusals` are the reasons of those before it, by name."""

    route: Route | None
    refusals: Mapping[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> str:
        return "; ".join(f"{name}: {reason}" for name, reason in self.refusals.items())

    def __str__(self) -> str:
        chosen = f"route {self.route.name}" if self.route else "no route"
        return f"{chosen} ({self.reasons})" if self.refusals else chosen


def decide_policy(setting: str, run_tag: str | None = None, listing: tuple[str, ...] | None = None) -> Policy:
    """Return what a run's tag says, else what the listing asks for, else the installation's setting.

    Whoever drops a listing can choose among the routes of the installation, but open no other: where photos may go is
    for those to say who answer for it. Raises `UnknownRoute` naming the name and where it was given.
    """
    enabled = _names(setting)
    check_route_names(enabled, "LISTING_MEDIA_ROUTES")
    if run_tag is not None:
        tagged = _names(run_tag)
        check_route_names(tagged, f"the run's tag {RUN_TAG}")
        return Policy(tagged, f"the run's tag {RUN_TAG}")
    if listing is not None:
        check_route_names(listing, "routes in listing.yaml")
        return Policy(
            tuple(name for name in listing if name in enabled),
            "listing.yaml",
            tuple(name for name in listing if name not in enabled),
        )
    return Policy(enabled)


def choose_route(
    needs: Needs,
    policy: Policy,
    open_route: Callable[[str], Route],
    job: ModelJob | None = None,
    failed: Mapping[str, str] | None = None,
) -> Decision:
    """Return the first route of `policy` that takes such work; `failed` are those that were tried, with what happened.

    Routes after it aren't asked: what they would answer may cost a call over the network.
    """
    refusals = dict.fromkeys(policy.not_enabled, NOT_ENABLED)
    for name in policy.routes:
        if failed and name in failed:
            refusals[name] = failed[name]
            continue
        try:
            route = open_route(name)
        except ValueError as wrong:  # a setting of it that can't be
            refusals[name] = str(wrong)
            continue
        reason = route.refusal(needs, job)
        if reason is None:
            return Decision(route, refusals)
        refusals[name] = reason
    return Decision(None, refusals)


def _names(said: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in said.split(",") if name.strip()))
