"""Answers /livez and /readyz from a thread of its own, so that a busy event loop does not look dead.

Alive means that the claim loops came round lately, not that the process answers. While jobs run that may hold the loop
up, it may take as long as the slowest of them is allowed to; ready means alive and not ending. Being busy or idle plays
no part in either: a ReplicaSet deletes Pods that are not ready before any that are.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from jobfleet.errors import ConfigurationError
from jobfleet.worker.lane import Lane


def stalled(lanes: Sequence[Lane], stall_seconds: float, now: float) -> str:
    """Which claim loop has not come round in the time it is given, as a sentence; empty: all have."""
    for lane in lanes:
        limit = lane.holding.longest_limit()
        silent = now - lane.came_round
        if limit is not None and silent > max(stall_seconds, limit + stall_seconds / 2):
            return f"the claim loop of queue {lane.queue} has not come round for {silent:.0f} s"
    return ""


class _Server(ThreadingHTTPServer):
    """Hears IPv4 and, where there is that, IPv6: a Pod may have addresses of the latter only."""

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    daemon_threads = True

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class Health:
    """A small HTTP server on ``port``, or nothing where it is 0."""

    def __init__(self, port: int, lanes: Sequence[Lane], stall_seconds: float) -> None:
        self._server: ThreadingHTTPServer | None = None
        self.ending = False
        if port == 0:
            return
        health = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path not in ("/livez", "/readyz"):
                    self.answer(404, "not found; try /livez or /readyz")
                    return
                problem = stalled(lanes, stall_seconds, time.monotonic())
                if not problem and self.path == "/readyz" and health.ending:
                    problem = "the worker is ending"
                self.answer(503 if problem else 200, problem or "ok")

            def answer(self, code: int, text: str) -> None:
                body = f"{text}\n".encode()
                self.send_response(code)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                """Probes are no news."""

        try:
            self._server = _Server(("", port), Handler)
        except OSError as error:
            raise ConfigurationError(f"health_port: port {port} cannot be opened: {error}") from error
        threading.Thread(target=self._server.serve_forever, name="jobfleet-health", daemon=True).start()

    @property
    def port(self) -> int:
        """The port it listens on; 0 where it does not."""
        return self._server.server_address[1] if self._server else 0

    def stop(self) -> None:
        """Close the port. May be called twice."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
