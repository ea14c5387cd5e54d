"""huey: quick to enqueue; a job that runs when its worker is killed is lost.

# /// script
# dependencies = ["huey==3.5.4", "redis==8.1.0", "hiredis==3.5.0"]
# [tool.bench]
# name = "huey"
# imports = "from huey import RedisHuey"
# delivery = "at most once"
# handlers = ["sync"]
# enqueues = ["bulk", "one_sync"]
# setting = "threads, blocking pop, no results; no bulk call, so one by one"
# ///
"""

from __future__ import annotations

from agent import CONCURRENCY, TEXT, URL, Agent, become, handler, serve
from huey import RedisHuey

huey = RedisHuey("bench", url=URL, results=False)
noop = huey.task(name="noop")(handler())


class Huey(Agent):
    def enqueue_sync(self, n: int) -> None:
        noop(n, TEXT)

    async def enqueue_bulk(self, numbers: range) -> None:
        for n in numbers:
            noop(n, TEXT)

    async def count(self) -> int:
        return int(huey.pending_count())

    def work(self) -> None:
        become("-m", "huey.bin.huey_consumer", "huey_peer.huey", "-k", "thread", "-w", str(CONCURRENCY), "-q")


if __name__ == "__main__":
    serve(Huey())
