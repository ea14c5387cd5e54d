"""Runs Commands on asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

import redis.asyncio
import redis.exceptions as redis_errors
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from jobfleet.clients.patience import (
    ANSWER_SECONDS,
    BLOCK_SECONDS,
    CONNECT_SECONDS,
    Patience,
    check_url,
    passes,
    translated,
)
from jobfleet.scripts.command import Command

T = TypeVar("T")


class AsyncClient:
    """One Redis, from one event loop.

    Every call is bounded in time and tried again while the error is one that passes, each time on connections made
    anew: Commands are idempotent, so that a second try after a lost answer does no harm.
    """

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        self.url = check_url(url)
        self._patience = patience or Patience()
        self._redis = self._connect(ANSWER_SECONDS)
        self._blocking: redis.asyncio.Redis | None = None

    def _connect(self, answer_seconds: float | None) -> redis.asyncio.Redis:
        return redis.asyncio.Redis.from_url(
            self.url,
            protocol=2,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=answer_seconds,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
        )

    async def run(self, command: Command[T]) -> T:
        """Run one Command.

        Raises:
            Unavailable: no answer within the client's patience.
            JobfleetError: Redis refused the call, or the Command's own parser did.
        """
        (answer,) = await self.run_many((command,))
        return answer

    async def run_many(self, commands: Sequence[Command[T]]) -> list[T]:
        """Run Commands in one round trip, each atomic by itself. Errors as :meth:`run`."""
        begun, tries = time.monotonic(), 0
        while True:
            try:
                raw = await self._send(commands)
                break
            except (redis_errors.RedisError, OSError) as error:
                tries += 1
                wait = self._patience.wait(tries, time.monotonic() - begun) if passes(error) else None
                if wait is None:
                    raise translated(error, self.url) from error
                await self._redis.connection_pool.disconnect(inuse_connections=False)
                await asyncio.sleep(wait)
        return [command.parse(answer) for command, answer in zip(commands, raw, strict=True)]

    async def _send(self, commands: Sequence[Command[Any]]) -> list[Any]:
        if len(commands) == 1:
            return [await self._send_one(commands[0])]
        pipe = self._redis.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command("EVALSHA", command.script.sha, len(command.keys), *command.keys, *command.args)
        answers = await pipe.execute(raise_on_error=False)
        for n, answer in enumerate(answers):
            if isinstance(answer, redis_errors.NoScriptError):
                answers[n] = await self._send_one(commands[n])
            elif isinstance(answer, Exception):
                raise answer
        return list(answers)

    async def _send_one(self, command: Command[Any]) -> Any:
        tail = (len(command.keys), *command.keys, *command.args)
        try:
            return await self._redis.execute_command("EVALSHA", command.script.sha, *tail)  # type: ignore[no-untyped-call]
        except redis_errors.NoScriptError:
            return await self._redis.execute_command("EVAL", command.script.text, *tail)  # type: ignore[no-untyped-call]

    async def pop(self, key: str, seconds: float = BLOCK_SECONDS) -> bool:
        """Take a token from a list, waiting up to ``seconds`` for one; on a connection of its own, never longer.

        Raises:
            Unavailable: the connection broke; the next call makes a new one.
        """
        if self._blocking is None:
            self._blocking = self._connect(BLOCK_SECONDS + ANSWER_SECONDS)
        seconds = min(max(seconds, 0.001), BLOCK_SECONDS)
        try:
            return await self._blocking.blpop([key], timeout=seconds) is not None
        except (redis_errors.RedisError, OSError) as error:
            await self._blocking.connection_pool.disconnect(inuse_connections=False)
            raise translated(error, self.url) from error

    async def listen(self, channel: str) -> AsyncIterator[str]:
        """Messages of a channel, for as long as the connection holds.

        Raises:
            Unavailable: the connection broke.
        """
        client = self._connect(None)
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        try:
            await pubsub.subscribe(channel)
            while True:
                message = await pubsub.get_message(timeout=BLOCK_SECONDS)
                if message is not None:
                    yield message["data"].decode()
                else:
                    await asyncio.wait_for(pubsub.ping(), ANSWER_SECONDS)
        except (redis_errors.RedisError, OSError) as error:
            raise translated(error, self.url) from error
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]
            await client.aclose()

    async def close(self) -> None:
        """Give the connections back; the client cannot be used afterwards. May be called twice."""
        await self._redis.aclose()
        if self._blocking is not None:
            await self._blocking.aclose()
            self._blocking = None
