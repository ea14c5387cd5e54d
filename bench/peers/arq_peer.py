"""arq, with a poll delay of 10 ms: its default of half a second would decide every figure.

# /// script
# dependencies = ["arq==0.28.0", "redis==5.3.1", "hiredis==3.5.0", "uvloop==0.23.0"]
# [tool.bench]
# name = "arq"
# imports = "from arq import create_pool"
# delivery = "at least once"
# handlers = ["async"]
# enqueues = ["bulk", "concurrent", "one_async"]
# keeps_completed = true
# setting = "poll_delay 0.01, no results kept; uvloop; no bulk call, so 100 enqueues in flight"
# ///
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from agent import CONCURRENCY, KEEP, TEXT, URL, Agent, handler, in_flight, run_fast, serve
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.constants import default_queue_name
from arq.worker import Worker, func

SETTINGS = RedisSettings.from_dsn(URL)
HOUR = 3600


class Arq(Agent):
    pool: ArqRedis

    async def open(self) -> None:
        self.pool = await create_pool(SETTINGS)

    async def close(self) -> None:
        await self.pool.aclose()

    async def enqueue(self, n: int) -> None:
        await self.pool.enqueue_job("noop", n, TEXT)

    async def enqueue_bulk(self, numbers: range) -> None:
        await in_flight(self.enqueue, numbers, width=100)

    async def count(self) -> int:
        return int(await self.pool.zcard(default_queue_name))

    def work(self) -> None:
        logging.getLogger("arq").setLevel(logging.WARNING)
        run = handler()

        async def noop(_: dict[str, Any], n: int, text: str) -> None:
            await run(n, text)

        async def main() -> None:
            worker = Worker(
                [func(noop, name="noop")],
                redis_settings=SETTINGS,
                max_jobs=CONCURRENCY,
                poll_delay=0.01,
                keep_result=HOUR if KEEP else 0,
            )
            await worker.async_run()

        with contextlib.suppress(asyncio.CancelledError):
            run_fast(main())


if __name__ == "__main__":
    serve(Arq())
