"""A Redis of the benchmark's own: free loopback port, no persistence, ended by pid; and what it says about itself."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from bench.children import Broken, Child, until

PROGRAMS = ("redis-server", "valkey-server")
START_SECONDS = 10.0
SOUND_OF_SCRIPTS = "lua"
"""What MONITOR shows as the client of a command that a script runs."""


class RedisServer:
    """Start with ``with``; ``client`` speaks to it."""

    def __init__(self, folder: Path) -> None:
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if program is None:
            raise Broken("redis-server is missing; install it with: apt-get install redis-server")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        options = {"save": "", "appendonly": "no", "bind": "127.0.0.1", "port": str(self.port), "dir": str(folder)}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._child = Child([program, *words], folder / "redis.log", {})
        self.client = redis.Redis(port=self.port, host="127.0.0.1", decode_responses=True)

    def __enter__(self) -> Self:
        until(self._answers, START_SECONDS, "redis-server starts", self._child)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self._child.end()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False

    def info(self, section: str) -> dict[str, Any]:
        """A section of INFO."""
        return dict(self.client.info(section))

    def version(self) -> str:
        """Its version."""
        return str(self.info("server")["redis_version"])

    def empty(self) -> None:
        """No keys. Statistics go on: a reset frees their memory, which the next commands take again."""
        self.client.flushall()

    def cpu_seconds(self) -> float:
        """CPU time of the server so far."""
        return cpu_seconds(self.info("cpu"))

    def used_memory(self) -> int:
        """Bytes that it has allocated."""
        return int(self.info("memory")["used_memory"])

    def script_calls(self) -> tuple[int, float]:
        """How many script calls there were so far, and the microseconds that they took."""
        return script_calls(self.info("commandstats"))


def cpu_seconds(info: Mapping[str, Any]) -> float:
    """The CPU time in INFO's section cpu."""
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def script_calls(info: Mapping[str, Any]) -> tuple[int, float]:
    """Calls and microseconds of all script commands in INFO's section commandstats.

    >>> script_calls({"cmdstat_evalsha": {"calls": 2, "usec": 50}, "cmdstat_get": {"calls": 9, "usec": 9}})
    (2, 50.0)
    """
    rows = [info.get(f"cmdstat_{name}", {}) for name in ("eval", "evalsha", "fcall")]
    return sum(int(row.get("calls", 0)) for row in rows), float(sum(row.get("usec", 0) for row in rows))


class Monitor:
    """Counts commands that clients send while it listens; what scripts call inside Redis does not count.

    INFO's own counters cannot tell the two apart.
    """

    def __init__(self, server: RedisServer) -> None:
        self._connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        self._connection.sendall(b"MONITOR\r\n")
        self._lines = self._connection.makefile("r", errors="replace")
        self._lines.readline()
        self._connection.settimeout(None)
        self.sent: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            self.sent.extend(name for line in self._lines if (name := sent_command(line)))
        except (OSError, ValueError):
            return

    def stop(self) -> list[str]:
        """End it; the names of the commands."""
        self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._lines.close()
        self._connection.close()
        return self.sent


def sent_command(line: str) -> str | None:
    """The name of the command in a line of MONITOR; None where a script called it, or no client did.

    >>> sent_command('1.5 [0 127.0.0.1:4] "EVALSHA" "ab"'), sent_command('1.5 [0 lua] "HGET" "a"'), sent_command("OK")
    ('evalsha', None, None)
    """
    _, bracket, rest = line.partition("[")
    client, _, words = rest.partition("]")
    if not bracket or client.endswith(SOUND_OF_SCRIPTS):
        return None
    parts = words.split('"')
    return parts[1].lower() if len(parts) > 1 else None
