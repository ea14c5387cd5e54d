"""SAQ.

# /// script
# dependencies = ["saq==0.26.4", "redis==7.4.1", "hiredis==3.5.0", "uvloop==0.23.0", "typing_extensions==4.16.0"]
# [tool.bench]
# name = "SAQ"
# imports = "from saq import Queue"
# delivery = "at least once"
# handlers = ["async", "sync"]
# enqueues = ["bulk", "concurrent", "one_async"]
# slots = { sync = 6 }
# keeps_completed = true
# setting = "its own thread pool for sync handlers, of 6 on 2 cores; uvloop; no bulk call, so 100 enqueues in flight"
# ///
"""

from __future__ import annotations

import logging

from agent import CONCURRENCY, HANDLER, KEEP, TEXT, URL, Agent, handler, in_flight, run_fast, serve
from saq import Queue, Worker

FORGET = -1
HOUR = 3600


class Saq(Agent):
    queue: Queue

    async def open(self) -> None:
        self.queue = Queue.from_url(URL, name="bench")
        await self.queue.connect()

    async def close(self) -> None:
        await self.queue.disconnect()

    async def enqueue(self, n: int) -> None:
        await self.queue.enqueue("noop", n=n, text=TEXT, ttl=HOUR if KEEP else FORGET)

    async def enqueue_bulk(self, numbers: range) -> None:
        await in_flight(self.enqueue, numbers, width=100)

    async def count(self) -> int:
        return int(await self.queue.count("queued"))

    def work(self) -> None:
        logging.getLogger("saq").setLevel(logging.WARNING)
        run = handler()

        async def noop(_: object, *, n: int, text: str) -> None:
            await run(n, text)

        def noop_sync(_: object, *, n: int, text: str) -> None:
            run(n, text)

        async def main() -> None:
            await self.open()
            await Worker(
                self.queue, [("noop", noop if HANDLER == "async" else noop_sync)], concurrency=CONCURRENCY
            ).start()

        run_fast(main())


if __name__ == "__main__":
    serve(Saq())
