"""Celery, with late acknowledgement: without it a job is lost with its worker.

# /// script
# dependencies = ["celery==5.7.0", "kombu==5.7.0", "redis==8.1.0", "hiredis==3.5.0", "packaging==26.3"]
# [tool.bench]
# name = "Celery"
# imports = "from celery import Celery; Celery"
# delivery = "at least once"
# handlers = ["sync"]
# enqueues = ["bulk", "one_sync"]
# keeps_completed = true
# setting = "acks_late, pool threads, prefetch 16, no results; no bulk call, so one by one"
# ///
"""

from __future__ import annotations

from agent import CONCURRENCY, KEEP, TEXT, URL, Agent, become, handler, serve
from celery import Celery

app = Celery("celery_peer", broker=URL, backend=URL if KEEP else None)
app.conf.update(
    task_acks_late=True,
    task_ignore_result=not KEEP,
    worker_prefetch_multiplier=16,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)
noop = app.task(name="noop")(handler())


class Celeriac(Agent):
    def enqueue_sync(self, n: int) -> None:
        noop.delay(n, TEXT)

    async def enqueue_bulk(self, numbers: range) -> None:
        with app.producer_pool.acquire(block=True) as producer:
            for n in numbers:
                noop.apply_async((n, TEXT), producer=producer)

    async def count(self) -> int:
        with app.connection_for_read() as connection:
            return int(connection.default_channel.client.llen("celery"))

    def work(self) -> None:
        become(
            *("-m", "celery", "-A", "celery_peer", "worker", "--pool", "threads", "--concurrency", str(CONCURRENCY)),
            *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
        )


if __name__ == "__main__":
    serve(Celeriac())
