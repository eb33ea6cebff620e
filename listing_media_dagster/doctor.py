"""What this machine can do and what is missing: one finding a question, each with the next step."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from listing_media_dagster.doctor_models import clip_finding, models_finding, probe_gpus
from listing_media_dagster.finding import Finding
from listing_media_dagster.models.hardware import GIB, memory_bytes
from listing_media_dagster.settings import Settings

# A 24-photo listing: originals, three stages of full-size JPEGs, sizes, film and zip.
FREE_DISK_GIB = 5
# Two photos of 12 MP at a time stay under 2 GB; the Dagster processes and the system want the rest.
RAM_GIB = 4


def examine(settings: Settings, *, environment: Mapping[str, str] | None = None) -> list[Finding]:
    """Ask this machine every question that decides whether and how listings can be made on it.

    Writes and removes one small object in the store and runs small matrix products on the GPUs, if there are any (in a
    process of its own). Downloads nothing; takes a few seconds. `environment` defaults to the process's own.
    """
    given = os.environ if environment is None else environment
    gpus = cache(probe_gpus)
    questions: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("Python", _python),
        ("settings", lambda: _settings(settings, given)),
        ("Dagster home", lambda: _dagster_home(given)),
        ("run storage", lambda: _run_storage(given)),
        ("media store", lambda: _store(settings)),
        ("phone photos", _phone_photos),
        ("video", _video_encoder),
        ("virtual staging", lambda: _staging(settings)),
        ("CLIP scoring", lambda: clip_finding(settings)),
        ("GPU", lambda: gpus().finding),
        ("models", lambda: models_finding(settings, gpus().hardware)),
        ("Kaggle", lambda: _kaggle(given)),
        ("disk", lambda: _disk(settings)),
        ("memory", _memory),
    )
    return [_answer(what, ask) for what, ask in questions]


def _answer(what: str, ask: Callable[[], Finding]) -> Finding:
    try:
        return ask()
    except Exception as error:  # a doctor who falls over one question answers none
        return Finding(what, "warn", f"could not be examined: {type(error).__name__}: {error}")


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 11) <= sys.version_info < (3, 14):
        return Finding("Python", "ok", f"{version} in {sys.prefix}")
    return Finding("Python", "missing", version, "use Python 3.11, 3.12 or 3.13", required=True)


def _settings(settings: Settings, environment: Mapping[str, str]) -> Finding:
    """Look for what no run could work with, and for variables that nobody reads, such as one with a typing error."""
    from listing_media_dagster.unusable_settings import unread_variables, unusable_settings

    if wrong := unusable_settings(settings):
        fix = "`listing-media settings` says what each may be"
        return Finding("settings", "missing", "; ".join(wrong), fix, required=True)
    if unread := unread_variables(environment):
        return Finding("settings", "warn", "; ".join(unread), "correct the name, or take the variable away")
    changed = sum(getattr(settings, name) != field.get_default() for name, field in Settings.model_fields.items())
    return Finding("settings", "ok", f"{changed} of {len(Settings.model_fields)} differ from their defaults")


def _dagster_home(environment: Mapping[str, str]) -> Finding:
    home = environment.get("DAGSTER_HOME")
    if not home:
        here = Path(".dagster").absolute()
        detail = f"DAGSTER_HOME isn't set: `listing-media` keeps run records in {here}, `make ui` in the project's"
        return Finding("Dagster home", "warn", detail, "set it where both should show the same runs")
    path = Path(home)
    if not path.is_absolute():
        return Finding("Dagster home", "missing", f"{home} is relative", "give DAGSTER_HOME as an absolute path")
    if not os.access(path, os.W_OK):
        fix = f"make the folder, or let this user write to it: {path}"
        return Finding("Dagster home", "missing", f"{home} can't be written to", fix)
    config = path / "dagster.yaml"
    return Finding("Dagster home", "ok", f"{home} ({'with' if config.is_file() else 'without'} dagster.yaml)")


def _run_storage(environment: Mapping[str, str]) -> Finding:
    """SQLite is fine for one machine; the words of a Postgres configuration are checked where there is one."""
    import yaml

    path = Path(environment.get("DAGSTER_HOME") or "/nonexistent") / "dagster.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    storage = (config or {}).get("storage") or {}
    if "postgres" not in storage:
        return Finding("run storage", "ok", "SQLite: fine for one machine")
    if importlib.util.find_spec("dagster_postgres") is None:
        fix = "pip install 'listing-media-dagster[production]'"
        return Finding("run storage", "missing", f"{path} wants Postgres, its driver isn't installed", fix)
    postgres = storage["postgres"] or {}
    url = postgres.get("postgres_url")
    if isinstance(url, dict):
        name = url.get("env", "")
        if not environment.get(name):
            return Finding("run storage", "missing", f"{path} reads ${name}, which isn't set", f"set {name}")
        url = environment[name]
    if isinstance(url, str) and not url.startswith("postgresql"):
        return Finding("run storage", "missing", f"the Postgres address in {path} has another scheme", "postgresql://…")
    return Finding("run storage", "ok", f"Postgres, by {path}")


def _store(settings: Settings) -> Finding:
    """Write, read back and remove one small object."""
    from listing_media_dagster.store.media_store import MediaStore, StoreError

    secret = settings.s3_secret_access_key
    key = f"doctor-{secrets.token_hex(8)}.txt"
    try:
        store = MediaStore(
            settings.store,
            s3_endpoint=settings.s3_endpoint,
            s3_region=settings.s3_region,
            access_key_id=settings.s3_access_key_id,
            secret_access_key=secret.get_secret_value() if secret else None,
            timeout_seconds=15,
        )
        store.write(key, key.encode())
        read = store.read(key)
        store.delete(key)
    except (StoreError, OSError) as error:
        fix = "set LISTING_MEDIA_STORE to a folder or s3://bucket/prefix that this user may write to"
        return Finding("media store", "missing", str(error), fix, required=True)
    if read != key.encode():
        return Finding("media store", "missing", f"{store.url} gave back other bytes than it took", None, required=True)
    return Finding("media store", "ok", f"{store.url}: written, read, removed")


def _phone_photos() -> Finding:
    """Decode a small picture of each kind that phones make and browsers upload."""
    import io

    import pillow_heif
    from PIL import Image, features

    pillow_heif.register_heif_opener()
    able, unable = [], []
    for kind in ("HEIF", "AVIF", "WEBP"):
        encoded = io.BytesIO()
        try:
            Image.new("RGB", (64, 64), (200, 100, 50)).save(encoded, kind)
            Image.open(io.BytesIO(encoded.getvalue())).load()
            able.append("HEIC" if kind == "HEIF" else kind)
        except (OSError, KeyError, ValueError, RuntimeError):
            unable.append("HEIC" if kind == "HEIF" else kind)
    profile = "" if features.check("littlecms2") else "; colour profiles can't be converted (Pillow without LittleCMS)"
    if unable or profile:
        detail = f"{', '.join(able) or 'none'} decode{'; not ' + ', '.join(unable) if unable else ''}{profile}"
        fix = "reinstall the wheels: pip install --force-reinstall pillow pillow-heif"
        return Finding("phone photos", "missing", detail, fix)
    return Finding("phone photos", "ok", f"{', '.join(able)} decode")


def _video_encoder() -> Finding:
    """Encode a few frames: a codec that is listed may still refuse."""
    import av
    import numpy as np

    absent = [codec for codec in ("libx264", "aac") if codec not in av.codecs_available]
    if absent:
        fix = "pip install --force-reinstall av (the wheels on PyPI bring both)"
        return Finding("video", "missing", f"PyAV has no {' and no '.join(absent)}", fix)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.mp4"
        with av.open(str(path), "w") as film:
            stream = film.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            for level in (0, 128, 255):
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), level, np.uint8), format="rgb24")
                film.mux(stream.encode(frame))
            film.mux(stream.encode())
        with av.open(str(path)) as film:
            count = sum(1 for _ in film.decode(video=0))
    if count != 3:
        return Finding("video", "missing", f"H.264 gave back {count} of 3 frames", "pip install --force-reinstall av")
    return Finding("video", "ok", f"H.264 and AAC (PyAV {av.__version__})")


def _staging(settings: Settings) -> Finding:
    """Read the kits and the furniture that staging would use, and load the path tracer's libraries."""
    import mitsuba  # noqa: F401 - that they load is the question
    import pyoidn  # noqa: F401

    from listing_media_dagster.assets.furnishing import rendered_staging
    from listing_media_dagster.staging.furniture.own_furniture import BadFurniture
    from listing_media_dagster.staging.kits import BadKit

    try:
        installed = rendered_staging(settings)
    except (BadKit, BadFurniture) as wrong:
        return Finding("virtual staging", "missing", str(wrong), "correct the file, or take it out of its folder")
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("mitsuba", "pyoidn"))
    return Finding("virtual staging", "ok", f"{len(installed.kits)} kits, {len(installed.designs)} pieces, {libraries}")


def _kaggle(environment: Mapping[str, str]) -> Finding:
    """Only looks whether there are credentials; they are neither read out nor tried."""
    if environment.get("KAGGLE_API_TOKEN") or (environment.get("KAGGLE_USERNAME") and environment.get("KAGGLE_KEY")):
        source = "the environment"
    else:
        folder = Path(environment.get("KAGGLE_CONFIG_DIR") or Path(environment.get("HOME", "/")) / ".kaggle")
        present = [name for name in ("access_token", "kaggle.json") if (folder / name).is_file()]
        if not present:
            fix = "only needed to borrow Kaggle's GPUs: https://www.kaggle.com/settings, API"
            return Finding("Kaggle", "warn", "no credentials", fix)
        file = folder / present[0]
        if file.stat().st_mode & 0o077:
            return Finding("Kaggle", "warn", f"{file} can be read by others", f"chmod 600 {file}")
        source = str(file)
    if importlib.util.find_spec("kaggle") is None:
        fix = "pip install 'listing-media-dagster[kaggle]'"
        return Finding("Kaggle", "warn", f"credentials in {source}, the client isn't installed", fix)
    return Finding("Kaggle", "ok", f"credentials in {source}")


def _disk(settings: Settings) -> Finding:
    """Look where media lies, or, if that is a bucket, where films and archives are made before they are sent."""
    is_bucket = "://" in settings.store and not settings.store.startswith("file:")
    place = Path(tempfile.gettempdir()) if is_bucket else Path(settings.store.removeprefix("file://")).expanduser()
    while not place.exists():
        place = place.absolute().parent
    free = shutil.disk_usage(place).free / GIB
    if free >= FREE_DISK_GIB:
        return Finding("disk", "ok", f"{free:.0f} GiB free at {place.absolute()}")
    fix = f"free some: a listing of 24 photos wants up to {FREE_DISK_GIB} GiB while it is made"
    level: Literal["warn", "missing"] = "warn" if free >= 1 else "missing"
    return Finding("disk", level, f"{free:.1f} GiB free at {place.absolute()}", fix, required=level == "missing")


def _memory() -> Finding:
    total = memory_bytes() / GIB
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    detail = f"{total:.1f} GiB, {cores} core{'' if cores == 1 else 's'}"
    if total >= RAM_GIB:
        return Finding("memory", "ok", detail)
    return Finding("memory", "warn", detail, "set LISTING_MEDIA_WORKERS=1: one photo at a time takes half the memory")
