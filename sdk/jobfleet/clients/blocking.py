"""Runs Commands for code without an event loop; safe to share between threads."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import redis.exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.retry import Retry

import redis
from jobfleet.clients.patience import ANSWER_SECONDS, CONNECT_SECONDS, Patience, check_url, passes, translated
from jobfleet.scripts.command import Command

T = TypeVar("T")


class SyncClient:
    """One Redis. Bounds, retries and errors as of :class:`jobfleet.clients.asynchronous.AsyncClient`."""

    def __init__(self, url: str, patience: Patience | None = None, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.url = check_url(url)
        self._patience = patience or Patience()
        self._redis = redis.Redis.from_url(
            self.url,
            protocol=2,
            socket_connect_timeout=min(CONNECT_SECONDS, answer_seconds),
            socket_timeout=answer_seconds,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
        )

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
                self._redis.connection_pool.disconnect(inuse_connections=False)
                time.sleep(wait)
        return command.parse(raw)

    def _send(self, command: Command[Any]) -> Any:
        tail = (len(command.keys), *command.keys, *command.args)
        try:
            return self._redis.execute_command("EVALSHA", command.script.sha, *tail)  # type: ignore[no-untyped-call]
        except redis_errors.NoScriptError:
            return self._redis.execute_command("EVAL", command.script.text, *tail)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Give the connections back. May be called twice."""
        self._redis.close()
