"""Runs Commands for code without an event loop; safe to share between threads."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Generator
from typing import Any, TypeVar

import redis.exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.retry import Retry

import redis
from jobfleet.clients import wire
from jobfleet.clients.address import check_url
from jobfleet.clients.opening import opened
from jobfleet.clients.patience import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    FRESH_SECONDS,
    SCAN_PAGE,
    Failures,
    Patience,
    passes,
    translated,
)
from jobfleet.errors import JobfleetError
from jobfleet.job import JobView
from jobfleet.keys import queue_keys
from jobfleet.scripts.command import Command, Pause
from jobfleet.scripts.looking import await_end
from jobfleet.seal import Seal

T = TypeVar("T")

LOOK_AGAIN_SECONDS = 15.0
"""A message may be lost with its connection: so often whoever waits for a job looks for himself."""


class SyncClient:
    """One Redis. Bounds, retries and errors as of :class:`jobfleet.clients.asynchronous.AsyncClient`."""

    def __init__(self, url: str, patience: Patience | None = None, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.url = check_url(url)
        self._patience = patience or Patience()
        self._redis = opened(
            redis.Redis.from_url,
            self.url,
            protocol=2,
            socket_connect_timeout=min(CONNECT_SECONDS, answer_seconds),
            socket_timeout=answer_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._ready: list[tuple[Any, float]] = []

    def run(self, command: Command[T]) -> T:
        """Run one Command.

        Raises:
            Unavailable: no answer within the client's patience.
            JobfleetError: Redis refused the call, or the Command's own parser did.
        """
        begun, tries = time.monotonic(), 0
        while True:
            try:
                raw = self._send(command)
                break
            except (redis_errors.RedisError, OSError) as error:
                tries += 1
                wait = self._patience.wait(tries, time.monotonic() - begun) if passes(error) else None
                if wait is None:
                    raise translated(error, self.url) from error
                self._disconnect()
                time.sleep(wait)
        return command.parse(raw)

    def _send(self, command: Command[Any]) -> Any:
        try:
            return self._exchange(wire.by_sha(command))
        except redis_errors.NoScriptError:
            return self._exchange(wire.by_text(command))

    def _exchange(self, call: bytes) -> Any:
        connection = self._connection()
        try:
            connection.send_packed_command((call,), check_health=False)
            answer = connection.read_response()
        except redis_errors.ResponseError:
            self._ready.append((connection, time.monotonic()))
            raise
        except BaseException:
            connection.disconnect()  # an answer that nobody read must not meet the next call
            self._redis.connection_pool.release(connection)
            raise
        self._ready.append((connection, time.monotonic()))
        return answer

    def _connection(self) -> Any:
        """One that this process used a moment ago; else one of the pool, which looks whether it still stands."""
        pool = self._redis.connection_pool
        try:
            connection, used = self._ready.pop()
        except IndexError:  # all are in use, by other threads
            return pool.get_connection()
        if time.monotonic() - used < FRESH_SECONDS and connection.pid == os.getpid():
            return connection
        pool.release(connection)
        return pool.get_connection()

    def _disconnect(self) -> None:
        """Give up the connections that are not in use."""
        pool = self._redis.connection_pool
        with contextlib.suppress(IndexError):
            while True:
                pool.release(self._ready.pop()[0])
        pool.disconnect(inuse_connections=False)

    def follow(self, flow: Generator[Command[Any] | Pause, Any, T]) -> T:
        """Run what a flow yields, one after the other, and give what it returns. Errors as :meth:`run`."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(flow)
                    continue
                try:
                    answer = self.run(step)
                except JobfleetError as error:
                    step = flow.throw(error)  # it may have to say what it has done so far
                else:
                    step = flow.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    def keys(self, pattern: str) -> list[str]:
        """As :meth:`jobfleet.clients.asynchronous.AsyncClient.keys`."""
        try:
            return [key.decode() for key in self._redis.scan_iter(pattern, count=SCAN_PAGE)]
        except (redis_errors.RedisError, OSError) as error:
            raise translated(error, self.url) from error

    def wait_for_end(self, place: tuple[str, str], job_id: str, timeout: float | None, seal: Seal) -> JobView | None:
        """The job when it has ended, or None where it is unknown; ``place`` is realm and queue.

        Raises:
            TimeoutError: it has not ended in ``timeout`` seconds.
            Unavailable: Redis stayed away for longer than the client's patience, or beyond ``timeout``.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        failures = Failures(self._patience)
        while True:
            try:
                ended, view = self._follow_to_end(place, job_id, deadline, seal, failures)
                break
            except (redis_errors.RedisError, OSError) as error:
                wait = failures.wait(error)
                if wait is None or time.monotonic() >= deadline:
                    raise translated(error, self.url) from error
                time.sleep(min(wait, deadline - time.monotonic()))
        if not ended:
            raise TimeoutError(f"job {job_id} has not ended in {timeout} s")
        return view

    def _follow_to_end(
        self, place: tuple[str, str], job_id: str, deadline: float, seal: Seal, failures: Failures
    ) -> tuple[bool, JobView | None]:
        """Whether the job has ended before the time is over (or is unknown), and what it is; on one connection."""
        with self._redis.pubsub(ignore_subscribe_messages=True) as heard:  # type: ignore[no-untyped-call]
            heard.subscribe(queue_keys(*place).ends)
            while True:
                view = self.run(await_end(*place, job_id, seal=seal))
                failures.over()
                if view is None or view.state.terminal:
                    return True, view
                if not self._hear(heard, job_id, deadline):
                    return False, view

    @staticmethod
    def _hear(heard: Any, job_id: str, deadline: float) -> bool:
        """Wait for word of the job, or long enough to look for oneself; False when the time is over."""
        look_at = time.monotonic() + LOOK_AGAIN_SECONDS
        while (now := time.monotonic()) < min(deadline, look_at):
            message = heard.get_message(timeout=min(deadline, look_at) - now)
            if message and message["data"] == job_id.encode():
                return True
        return now < deadline

    def close(self) -> None:
        """Give the connections back. May be called twice."""
        self._redis.close()
