"""The page a customer opens: every photo, what was done to it, the tour, and the way back to each original.

One HTML file beside the pictures it shows. It asks nothing of the network, so it works from a zip, a USB stick or any
web server; its security policy lets nothing else run than the script it came with.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from listing_media_dagster.listing import Agent

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Picture:
    """One image by relative paths: `src` is what every browser shows, `sources` (path, width px) are lighter files."""

    src: str
    width: int
    height: int
    sources: tuple[tuple[str, int], ...] = ()

    @property
    def url(self) -> str:
        return quote(self.src)

    @property
    def srcset(self) -> str:
        return ", ".join(f"{quote(path)} {width}w" for path, width in sorted(self.sources, key=lambda s: s[1]))


@dataclass(frozen=True)
class Comparison:
    """What the slider lays over the photo's left half, and what the two halves are called."""

    before: Picture
    before_label: str
    after_label: str


@dataclass(frozen=True)
class GalleryPhoto:
    number: int
    caption: str
    alt: str
    picture: Picture
    label: str | None = None
    """Stated on the photo wherever it is shown, such as "Virtually staged"."""
    altered: bool = False
    blurred: bool = False
    """Faces or number plates were made unreadable: nothing is added, but a viewer is told."""
    comparison: Comparison | None = None
    done: tuple[str, ...] = ()
    downloads: tuple[tuple[str, str], ...] = ()
    """(what it is, relative path)"""


@dataclass(frozen=True)
class GalleryModel:
    title: str
    headline: str | None = None
    agent: Agent = field(default_factory=Agent)
    logo: Picture | None = None
    photos: tuple[GalleryPhoto, ...] = ()
    video: str | None = None
    poster: str | None = None
    video_note: str = ""
    """What has to be disclosed of the video."""

    @property
    def altered(self) -> tuple[GalleryPhoto, ...]:
        return tuple(photo for photo in self.photos if photo.altered)

    @property
    def blurred(self) -> tuple[GalleryPhoto, ...]:
        return tuple(photo for photo in self.photos if photo.blurred)

    @property
    def summary(self) -> str:
        """Say what is here in a line: "12 photos · film · 2 virtually staged"."""
        words = [_counted(len(self.photos), "photo")]
        if self.video:
            words.append("video tour")
        labels = [photo.label or "Digitally altered" for photo in self.altered]
        words += [f"{labels.count(label)} {label.lower()}" for label in dict.fromkeys(labels)]
        return " · ".join(words)


def render_gallery(model: GalleryModel) -> str:
    """Return `model` as one HTML document whose only references are the model's relative paths."""
    style = _text("gallery.css")
    script = _text("gallery.js")
    return (
        _environment()
        .get_template("gallery.html")
        .render(
            model=model,
            style=style,
            script=script,
            style_hash=_csp_hash(style),
            script_hash=_csp_hash(script),
        )
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _telephone(number: str) -> str:
    """Return the number as a tel: link dials it, '' when there is none in it."""
    digits = re.sub(r"[^0-9+]", "", number)
    return digits if re.fullmatch(r"\+?[0-9]{3,}", digits) else ""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(telephone=_telephone, counted=_counted, urlpath=quote)
    return environment


@cache
def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
