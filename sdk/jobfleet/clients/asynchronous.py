"""Runs Commands on asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from typing import Any, TypeVar

import redis.asyncio
import redis.exceptions as redis_errors
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from jobfleet.clients import wire
from jobfleet.clients.address import check_url, public_url
from jobfleet.clients.opening import opened
from jobfleet.clients.patience import (
    ANSWER_SECONDS,
    BLOCK_SECONDS,
    CONNECT_SECONDS,
    FRESH_SECONDS,
    SCAN_PAGE,
    Failures,
    Patience,
    passes,
    translated,
)
from jobfleet.errors import JobfleetError
from jobfleet.scripts.command import Command, Pause

T = TypeVar("T")
StreamEntry = tuple[str, dict[str, str]]
"""An entry's id and its fields."""


class AsyncClient:
    """One Redis, from one event loop.

    Every call is bounded in time and tried again while the error is one that passes, each time on connections made
    anew: Commands are idempotent, so that a second try after a lost answer does no harm.
    """

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        self.url = check_url(url)
        self._patience = patience or Patience()
        self._redis = self._connect(None)
        self._ready: list[tuple[redis.asyncio.Connection, float]] = []
        self._blocking: redis.asyncio.Redis | None = None
        self._streaming: redis.asyncio.Redis | None = None
        self._closed = False

    def _connect(self, answer_seconds: float | None) -> redis.asyncio.Redis:
        return opened(
            redis.asyncio.Redis.from_url,
            self.url,
            protocol=2,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=answer_seconds,
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
        raw = await self._patiently(commands)
        for answer in raw:
            if isinstance(answer, Exception):
                raise translated(answer, self.url) from answer
        return [command.parse(answer) for command, answer in zip(commands, raw, strict=True)]

    async def run_each(self, commands: Sequence[Command[T]]) -> list[T | JobfleetError]:
        """As :meth:`run_many`, but an error that does not pass is the answer to its Command, and holds no other up.

        Raises:
            Unavailable: no answer within the client's patience.
            JobfleetError: Redis does not let this client in.
        """
        raw = await self._patiently(commands)
        parsed: list[T | JobfleetError] = []
        for command, answer in zip(commands, raw, strict=True):
            one = self._parsed(command, answer)
            parsed.append(one)
        return parsed

    def _parsed(self, command: Command[T], answer: Any) -> T | JobfleetError:
        if isinstance(answer, Exception):
            return translated(answer, self.url)
        try:
            return command.parse(answer)
        except JobfleetError as error:
            return error
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            return JobfleetError(f"Redis at {public_url(self.url)} holds what cannot be read: {error}")

    async def _patiently(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """The raw answers, tried for until none is an error that passes."""
        begun, tries = time.monotonic(), 0
        while True:
            try:
                return await self._send(commands)
            except (redis_errors.RedisError, OSError) as error:
                tries += 1
                wait = self._patience.wait(tries, time.monotonic() - begun) if passes(error) else None
                if wait is None:
                    raise translated(error, self.url) from error
                await self._disconnect()
                await asyncio.sleep(wait)

    async def follow(self, flow: Generator[Command[Any] | Pause, Any, T]) -> T:
        """Run what a flow yields, one after the other, and give what it returns. Errors as :meth:`run`."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = next(flow)
                    continue
                try:
                    answer = await self.run(step)
                except JobfleetError as error:
                    step = flow.throw(error)  # it may have to say what it has done so far
                else:
                    step = flow.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            flow.close()

    async def keys(self, pattern: str) -> list[str]:
        """All keys that match, a page at a time so that nobody waits for it; some perhaps more than once.

        Raises:
            Unavailable: the connection broke, or a page did not come in time.
        """
        async with self._connect(ANSWER_SECONDS) as client:
            try:
                return [key.decode() async for key in client.scan_iter(pattern, count=SCAN_PAGE)]
            except (redis_errors.RedisError, OSError) as error:
                raise translated(error, self.url) from error

    async def stream_end(self, key: str) -> str:
        """The id of a stream's newest entry, or "0" where there is none. Errors as :meth:`read_stream`."""
        newest = await self._stream(lambda client: client.xrevrange(key, count=1))
        return newest[0][0].decode() if newest else "0"

    async def read_stream(self, key: str, after: str, seconds: float = BLOCK_SECONDS) -> list[StreamEntry]:
        """The entries of a stream behind the id ``after``, at most 100, waiting up to ``seconds`` for the first.

        Raises:
            Unavailable: Redis stayed away for longer than the client's patience.
        """
        block = round(seconds * 1000)
        answer = await self._stream(lambda client: client.xread({key: after}, block=block, count=100))
        entries = answer[0][1] if answer else []
        return [(i.decode(), {k.decode(): v.decode() for k, v in fields.items()}) for i, fields in entries]

    async def _stream(self, call: Callable[[redis.asyncio.Redis], Awaitable[Any]]) -> Any:
        """Call on connections of their own, which may block for longer than an answer may take."""
        client = self._streaming
        if client is None:
            client = self._streaming = self._connect(BLOCK_SECONDS + ANSWER_SECONDS)
        failures = Failures(self._patience)
        while True:
            try:
                return await call(client)
            except (redis_errors.RedisError, OSError) as error:
                wait = failures.wait(error)
                if wait is not None and not self._closed:
                    await client.connection_pool.disconnect(inuse_connections=False)
                    await asyncio.sleep(wait)
                if wait is None or self._closed:
                    raise translated(error, self.url) from error

    async def _send(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """The raw answers, refusals among them; a script that Redis does not have is sent along and tried again."""
        answers = await self._exchange([wire.by_sha(command) for command in commands])
        for n, answer in enumerate(answers):
            if isinstance(answer, redis_errors.NoScriptError):
                (answers[n],) = await self._exchange([wire.by_text(commands[n])])
        for answer in answers:
            if isinstance(answer, Exception) and passes(answer):
                raise answer
        return answers

    async def _exchange(self, calls: list[bytes]) -> list[Any]:
        """Send calls together and read their answers, an error of Redis being one."""
        answers: list[Any] = []
        connection: redis.asyncio.Connection | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = await self._connection()
                await connection.send_packed_command(calls, check_health=False)
                for _ in calls:
                    try:
                        answers.append(await connection.read_response())
                    except redis_errors.ResponseError as error:
                        answers.append(error)
        except BaseException as error:
            if connection is not None:
                await connection.disconnect(nowait=True)  # an answer that nobody read must not meet the next call
                await self._redis.connection_pool.release(connection)
            if isinstance(error, TimeoutError):
                raise redis_errors.TimeoutError(f"no answer within {ANSWER_SECONDS:g} s") from error
            raise
        self._ready.append((connection, time.monotonic()))
        return answers

    async def _connection(self) -> redis.asyncio.Connection:
        """One that was used a moment ago; else one of the pool, which looks whether it still stands."""
        pool = self._redis.connection_pool
        if self._ready:
            connection, used = self._ready.pop()
            if time.monotonic() - used < FRESH_SECONDS:
                return connection
            await pool.release(connection)
        return await pool.get_connection()  # type: ignore[no-untyped-call, no-any-return]

    async def _disconnect(self) -> None:
        """Give up the connections that are not in use."""
        pool = self._redis.connection_pool
        while self._ready:
            await pool.release(self._ready.pop()[0])
        await pool.disconnect(inuse_connections=False)

    async def pop(self, key: str, seconds: float = BLOCK_SECONDS) -> bool:
        """Take a token from a list, waiting up to ``seconds`` for one; on a connection of its own, never longer.

        Raises:
            Unavailable: the connection broke; the next call makes a new one.
        """
        return await self.pop_value(key, seconds) is not None

    async def pop_value(self, key: str, seconds: float = BLOCK_SECONDS) -> bytes | None:
        """As :meth:`pop`, with what was in the list."""
        if self._blocking is None:
            self._blocking = self._connect(BLOCK_SECONDS + ANSWER_SECONDS)
        seconds = min(max(seconds, 0.001), BLOCK_SECONDS)
        try:
            found: Any = await self._blocking.blpop([key], timeout=seconds)
            return bytes(found[1]) if found else None
        except (redis_errors.RedisError, OSError) as error:
            await self._blocking.connection_pool.disconnect(inuse_connections=False)
            raise translated(error, self.url) from error

    async def listen(self, channel: str) -> AsyncIterator[str]:
        """Messages of a channel, for as long as the connection holds; first an empty one, when the subscription stands.

        Raises:
            Unavailable: the connection broke.
        """
        client = self._connect(None)
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        try:
            await pubsub.subscribe(channel)
            yield ""
            while True:
                message = await pubsub.get_message(timeout=BLOCK_SECONDS)
                if message is not None:
                    yield message["data"].decode()
                else:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await pubsub.ping()
        except (redis_errors.RedisError, OSError) as error:
            raise translated(error, self.url) from error
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]
            await client.aclose()

    async def close(self) -> None:
        """Give the connections back; the client cannot be used afterwards. May be called twice."""
        self._closed = True
        await self._redis.aclose()
        for client in (self._blocking, self._streaming):
            if client is not None:
                await client.aclose()
        self._blocking = self._streaming = None
