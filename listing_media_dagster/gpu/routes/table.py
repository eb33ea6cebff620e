"""The routes there are, by the name LISTING_MEDIA_ROUTES gives them; each is imported when it is first asked for.

A route's module holds `open_route(at: Settings) -> Route`.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from listing_media_dagster.gpu.routes.route import Route
from listing_media_dagster.settings import Settings

ROUTES = {
    name: f"listing_media_dagster.gpu.routes.{name}" for name in ("cuda", "cpu", "celery", "kaggle", "colab", "comfyui")
}


REMOTE = frozenset({"celery", "kaggle", "colab", "comfyui"})
"""Those whose work is awaited (`Route.is_remote`), known without opening them."""
SLOW_TO_START = frozenset({"kaggle", "colab"})
"""Those that take minutes to begin with a job, so that work is better sent in one go."""


class UnknownRoute(ValueError):
    """A name that no route has; the message says where it was given and which names there are."""


def check_route_names(names: tuple[str, ...], given_in: str) -> None:
    """Raise `UnknownRoute` for the first name that no route has, or if there is none at all."""
    known = ", ".join(ROUTES)
    if not names:
        raise UnknownRoute(f"{given_in} names no route; the routes are {known}")
    for name in names:
        if name not in ROUTES:
            raise UnknownRoute(f"{given_in} names the route {name!r}; the routes are {known}")


def open_route(name: str, at: Settings) -> Route:
    return cast(Route, import_module(ROUTES[name]).open_route(at))
