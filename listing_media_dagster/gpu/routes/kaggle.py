"""The `kaggle` route: jobs of this and other runs share sessions with two T4s on Kaggle."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listing_media_dagster.gpu.job import JobFolder, ModelJob, Needs
from listing_media_dagster.gpu.job_models import models_named, out_of_reach, weights_wanted
from listing_media_dagster.gpu.kaggle.outbox import Outbox
from listing_media_dagster.gpu.kaggle.shared_sessions import SharedSessions
from listing_media_dagster.gpu.kaggle.shipment import DATASET, MODEL_VERSION, T4, Limits, why_too_big
from listing_media_dagster.gpu.routes.route import Listener, RouteReport
from listing_media_dagster.settings import Settings

HOW_TO_SIGN_IN = (
    "no credentials: set KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, and try `listing-media kaggle setup`"
)


@dataclass(frozen=True)
class KaggleRoute:
    sessions: SharedSessions
    environment: Mapping[str, str]
    name: str = "kaggle"
    is_remote: bool = True

    def refusal(self, needs: Needs, job: ModelJob | None = None) -> str | None:
        """Ask what needs no network first; the week's GPU time is asked for once a minute at most."""
        if importlib.util.find_spec("kaggle") is None:
            return "the client isn't installed: pip install 'listing-media-dagster[kaggle]'"
        if not has_credentials(self.environment):
            return HOW_TO_SIGN_IN
        return why_too_big(needs) or self._weights_missing(job) or self.sessions.refusal(needs, job)

    def run(self, folder: JobFolder, listener: Listener, known: dict[str, Any] | None = None) -> RouteReport:
        return self.sessions.run(folder, listener, known)

    def _weights_missing(self, job: ModelJob | None) -> str | None:
        """Return how to attach weights if none are and the job needs some; which ones are is seen in the session."""
        if job is None:
            return None
        for named in models_named(job):
            if named.one_of and not any(map(named.entry, named.one_of)):
                return f"{named.one_of[0]} is in no catalogue: sessions don't know it"
        limits = self.sessions.limits
        wanted = weights_wanted(job, T4)
        if not wanted or limits.datasets or limits.models:
            return None
        own = out_of_reach(job, T4)
        if limits.internet and not own:
            return None
        why = f"weights of {own} lie in a folder of this machine" if own else "no weights are attached"
        instead = "" if own else " (or let sessions fetch them: LISTING_MEDIA_KAGGLE_INTERNET=true)"
        return f"{why}: `listing-media kaggle setup {' '.join(wanted)}` uploads them{instead}"


def has_credentials(environment: Mapping[str, str]) -> bool:
    """Return whether the client will find some: where it looks for them, without asking whether they are good."""
    if environment.get("KAGGLE_API_TOKEN") or (environment.get("KAGGLE_USERNAME") and environment.get("KAGGLE_KEY")):
        return True
    home = Path(environment.get("HOME", "~")).expanduser()
    settings = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    own = Path(environment["KAGGLE_CONFIG_DIR"]) if environment.get("KAGGLE_CONFIG_DIR") else home / ".kaggle"
    names = ("access_token", "access_token.txt", "kaggle.json", "credentials.json")
    places = [home / ".kaggle" / name for name in names]
    return any(path.is_file() for path in [*places, own / "kaggle.json", settings / "kaggle" / "kaggle.json"])


def sessions_of(at: Settings, environment: Mapping[str, str] | None = None) -> SharedSessions:
    """Return Kaggle as the settings have it. Raises `ValueError` naming the setting that can't be."""
    limits = Limits(
        session_seconds=at.kaggle_session_minutes * 60,
        sessions=at.kaggle_sessions,
        collect_seconds=at.kaggle_collect_seconds,
        internet=at.kaggle_internet,
        datasets=_references(at.kaggle_datasets, DATASET, "LISTING_MEDIA_KAGGLE_DATASETS"),
        models=_references(at.kaggle_models, MODEL_VERSION, "LISTING_MEDIA_KAGGLE_MODELS"),
    )
    return SharedSessions(Outbox(at.kaggle_dir.expanduser()), limits, environment=environment)


def open_route(at: Settings) -> KaggleRoute:
    return KaggleRoute(sessions_of(at), os.environ)


def _references(said: str, form: re.Pattern[str], setting: str) -> tuple[str, ...]:
    named = tuple(name.strip() for name in said.split(",") if name.strip())
    for name in named:
        if not form.fullmatch(name):
            raise ValueError(f"{setting} names {name!r}, which isn't written as {form_words(form)}")
    return named


def form_words(form: re.Pattern[str]) -> str:
    return "owner/dataset" if form is DATASET else "owner/model/framework/variation/version"
