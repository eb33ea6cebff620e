"""The workers that execute runs: `celery --app listing_media_dagster.gpu.celery.runs worker --concurrency 2`.

The tasks are dagster-celery's. Its own command isn't used: it writes the broker's password into a file at each start,
puts it on a command line, and doesn't pass on the signal that a container is stopped with.
"""

from __future__ import annotations

from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from listing_media_dagster.gpu.celery.app import check_broker
from listing_media_dagster.settings import settings


def _broker() -> str:
    broker = settings().broker
    if broker is None:
        raise SystemExit("LISTING_MEDIA_BROKER isn't set: it names the Redis that runs are taken from, redis://…")
    try:
        check_broker(broker.get_secret_value())
    except ValueError as wrong:
        raise SystemExit(str(wrong)) from None
    return broker.get_secret_value()


app = make_app({"broker": _broker(), "backend": _broker()})
app.conf.update(
    worker_prefetch_multiplier=1,
    worker_lost_wait=1.0,
    broker_connection_retry_on_startup=True,
    # A process a run: what a run holds of a GPU, it holds until its process ends.
    worker_max_tasks_per_child=1,
)
create_execute_job_task(app)
create_resume_job_task(app)
