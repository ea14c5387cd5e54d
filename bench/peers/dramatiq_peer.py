"""dramatiq: actors in threads of one process.

# /// script
# dependencies = ["dramatiq==2.2.1", "redis==8.1.0", "hiredis==3.5.0"]
# [tool.bench]
# name = "dramatiq"
# imports = "from dramatiq.brokers.redis import RedisBroker"
# delivery = "at least once"
# handlers = ["sync"]
# enqueues = ["bulk", "one_sync"]
# setting = "1 process; no bulk call, so one by one"
# ///
"""

from __future__ import annotations

import dramatiq
from agent import CONCURRENCY, TEXT, URL, Agent, become, handler, serve
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=URL)
dramatiq.set_broker(broker)
noop = dramatiq.actor(actor_name="noop")(handler())


class Dramatiq(Agent):
    def enqueue_sync(self, n: int) -> None:
        noop.send(n, TEXT)

    async def enqueue_bulk(self, numbers: range) -> None:
        for n in numbers:
            noop.send(n, TEXT)

    async def count(self) -> int:
        return int(broker.do_qsize(noop.queue_name))

    def work(self) -> None:
        become("-m", "dramatiq", "dramatiq_peer:broker", "--processes", "1", "--threads", str(CONCURRENCY))


if __name__ == "__main__":
    serve(Dramatiq())
