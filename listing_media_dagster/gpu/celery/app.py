"""The Celery application that routes send tickets through and workers take them from."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from celery import Celery

    from listing_media_dagster.gpu.celery.board import Ticket

QUEUE = "gpu"
TASK = "listing_media.work_off"


def make_app(broker: str) -> Celery:
    """Return the application on this broker. Raises `ValueError` for one that isn't Redis, without repeating it."""
    check_broker(broker)
    from celery import Celery

    app = Celery("listing_media_gpu", broker=broker, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # A ticket leaves the queue when its job is finished, and comes back if the process that had it dies.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_lost_wait=1.0,
        worker_prefetch_multiplier=1,
        # A process isn't up until it has a GPU, and a run may have that for hours.
        worker_proc_alive_timeout=7 * 24 * 3600.0,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options={
            "global_keyprefix": "listing-media:celery:",
            # Tickets of a machine that vanished come back after so long at the latest. One that comes back while its
            # job is still being done is dropped, because the job is held.
            "visibility_timeout": 3600,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,
            "socket_connect_timeout": 10,
        },
    )
    return app


def check_broker(broker: str) -> None:
    """Raise `ValueError` for a URL that isn't Redis's. The libraries' own words hold pieces of its password."""
    if not broker.startswith(("redis://", "rediss://")):
        raise ValueError("LISTING_MEDIA_BROKER has to be a redis:// or rediss:// URL: workers hold jobs by its leases")
    try:
        parts = urlsplit(broker)
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0) and not parts.fragment
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError(
            "LISTING_MEDIA_BROKER isn't a URL of the form redis://user:password@host:6379/0; "
            "write /, #, ? and @ in a password as %2F, %23, %3F and %40"
        )


def send_ticket(app: Celery, ticket: Ticket, queue: str = QUEUE) -> None:
    """Put a ticket in the queue. Raises `BrokerDown`."""
    from kombu.exceptions import OperationalError

    from listing_media_dagster.gpu.celery.board import BrokerDown

    try:
        app.send_task(TASK, args=[ticket.name, ticket.sha256, ticket.group], queue=queue, retry=False)
    except (OperationalError, OSError) as down:
        raise BrokerDown(f"the broker doesn't take the job ({type(down).__name__})") from None


def queue_for(vram_gb: float, sizes: list[float]) -> str:
    """Return the queue whose every worker has that much GPU memory, given the sizes of those that are there.

    `gpu` if all have; else the one that only workers of the smallest sufficient size listen to.
    """
    enough = [size for size in sizes if size >= vram_gb]
    return QUEUE if len(enough) == len(sizes) or not enough else sized_queue(min(enough))


def sized_queue(vram_gb: float) -> str:
    return f"{QUEUE}.{int(vram_gb)}"
