"""taskiq, with the broker on Redis streams: the one of its brokers that acknowledges.

# /// script
# dependencies = [
#   "taskiq==0.13.0", "taskiq-redis==1.2.4", "redis==8.1.0", "hiredis==3.5.0", "uvloop==0.23.0", "orjson==3.13.0",
# ]
# [tool.bench]
# name = "taskiq"
# imports = "from taskiq_redis import RedisStreamBroker"
# delivery = "at least once"
# handlers = ["async", "sync"]
# enqueues = ["bulk", "concurrent", "one_async"]
# setting = "streams, 1 worker, orjson, no results; uvloop; no bulk call: 100 in flight"
# ///
"""

from __future__ import annotations

from agent import CONCURRENCY, HANDLER, TEXT, URL, Agent, become, handler, in_flight, serve
from redis.asyncio import Redis
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisStreamBroker

STREAM = "taskiq"
broker = RedisStreamBroker(URL, queue_name=STREAM, consumer_id="0").with_serializer(ORJSONSerializer())
noop = broker.task(task_name="noop")(handler())


class Taskiq(Agent):
    async def open(self) -> None:
        await broker.startup()

    async def close(self) -> None:
        await broker.shutdown()

    async def enqueue(self, n: int) -> None:
        await noop.kiq(n, TEXT)

    async def enqueue_bulk(self, numbers: range) -> None:
        await in_flight(self.enqueue, numbers, width=100)

    async def count(self) -> int:
        async with Redis.from_url(URL) as client:
            return int(await client.xlen(STREAM))

    def work(self) -> None:
        width = "--max-async-tasks" if HANDLER == "async" else "--max-threadpool-threads"
        become(
            *("-m", "taskiq", "worker", "taskiq_peer:broker", "--workers", "1", width, str(CONCURRENCY)),
            *("--log-level", "WARNING", "--ack-type", "when_executed"),
        )


if __name__ == "__main__":
    serve(Taskiq())
