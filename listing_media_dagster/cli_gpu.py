"""listing-media gpu-worker: a warm worker on this machine's GPUs, and whether one is there."""

from __future__ import annotations

import importlib.util
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.markup import escape

from listing_media_dagster.settings import Settings, settings

if TYPE_CHECKING:
    from listing_media_dagster.gpu.devices import DeviceSlots
    from listing_media_dagster.store.media_store import MediaStore

say = Console(stderr=True)


def gpu_worker(
    devices: Annotated[
        str | None,
        typer.Option(help='as CUDA_VISIBLE_DEVICES names them, or "auto"; default: LISTING_MEDIA_GPU_DEVICES'),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="work without a GPU, in so many processes: for trying out, or light work")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="only say whether a worker of this machine is there")] = False,
) -> None:
    """Work off model jobs from the queue on LISTING_MEDIA_BROKER, a process a GPU, keeping models loaded."""
    at = settings()
    if importlib.util.find_spec("celery") is None:
        _give_up("Celery isn't installed: pip install 'listing-media-dagster[production]'")
    if at.broker is None:
        _give_up("LISTING_MEDIA_BROKER isn't set: it names the Redis that jobs are taken from, redis://…")
    broker = at.broker.get_secret_value()
    if check:
        _check(broker)
        return
    raise typer.Exit(_serve(at, broker, devices, processes))


def _serve(at: Settings, broker: str, devices: str | None, processes: int | None) -> int:
    from listing_media_dagster.gpu.celery.app import make_app
    from listing_media_dagster.gpu.celery.board import Board, BrokerDown
    from listing_media_dagster.gpu.celery.worker import WarmWorker
    from listing_media_dagster.gpu.routes.here import bench_here

    try:
        make_app(broker)
        Board(broker).workers()
    except BrokerDown as down:
        _give_up(_unanswered(broker, down))
    except ValueError as unusable:
        _give_up(str(unusable))
    _store().exists("jobs/none")  # a store that can't be reached is said before any work
    slots, vram_gb = _slots(at, devices, processes)
    say.print(f"taking jobs on {', '.join(slots.devices)}", markup=False, highlight=False)
    return WarmWorker(
        broker=broker,
        store=_store,
        slots=slots,
        work_dir=at.work_dir.expanduser(),
        models_dir=at.models_dir.expanduser(),
        catalogue=at.model_catalogue,
        own_weights=bench_here("cpu", at).own_weights,
        vram_gb=vram_gb,
        on_cpu=processes is not None,
        warm_seconds=at.warm_minutes * 60,
        jobs_at_once=at.jobs_at_once,
    ).serve()


def _slots(at: Settings, devices: str | None, processes: int | None) -> tuple[DeviceSlots, float]:
    """Return the devices to serve, and the GPU memory in GB that each of them has at least."""
    from listing_media_dagster.gpu.devices import slots_here
    from listing_media_dagster.gpu.routes.cuda import look_at_gpus

    if processes is not None:
        names = tuple(f"cpu-{n}" for n in range(processes))
        return replace(slots_here(at), devices=names, problem_of=lambda device: None), 0.0
    slots = slots_here(at.model_copy(update={"gpu_devices": devices}) if devices else at)
    gpus = look_at_gpus(slots.devices)
    faults = [f"{gpu.name}: {gpu.fault}" for gpu in gpus if gpu.fault]
    if faults or not gpus:
        _give_up("; ".join(faults) or "there is no CUDA device here; with --processes 1 work is done without one")
    return slots, min(gpu.vram_gb for gpu in gpus)


def _store() -> MediaStore:
    from listing_media_dagster.store.photo_sets import MediaStoreResource

    return MediaStoreResource().store()


def _check(broker: str) -> None:
    from listing_media_dagster.gpu.celery.board import Board, BrokerDown

    try:
        workers = Board(broker).workers()
    except BrokerDown as down:
        _give_up(_unanswered(broker, down))
    except ValueError as unusable:
        _give_up(str(unusable))
    here = [worker for worker in workers if worker.name.startswith(f"{socket.gethostname()}:")]
    for worker in here:
        typer.echo(f"{worker.name} on {worker.device}")
    if not here:
        _give_up("no worker of this machine is there")


def _unanswered(broker: str, down: Exception) -> str:
    """Name the address, but never the password that the URL may hold."""
    at = urlsplit(broker)
    return f"{down}: is Redis running at {at.hostname}:{at.port or 6379}, as LISTING_MEDIA_BROKER says?"


def _give_up(why: str) -> NoReturn:
    say.print(f"[red]{escape(why)}[/]", highlight=False, soft_wrap=True)
    raise typer.Exit(1)
