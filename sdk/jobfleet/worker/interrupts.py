"""SIGTERM and SIGINT of a program whose work is its workers: taken while one of them runs, and then put back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_stops: list[Callable[[], None]] = []
"""What a signal calls: a program may run several workers, and each is told."""

_before: dict[signal.Signals, Any] = {}


@contextlib.contextmanager
def taken(stop: Callable[[], None]) -> Iterator[None]:
    """Have ``stop`` called at each SIGTERM and SIGINT, where this is the main thread of a program that may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _stops.append(stop)
    if len(_stops) == 1:
        _take()
    try:
        yield
    finally:
        _stops.remove(stop)
        if not _stops:
            _put_back()


def _take() -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            before = signal.getsignal(number)
            loop.add_signal_handler(number, _told)
            _before[number] = before


def _put_back() -> None:
    loop = asyncio.get_running_loop()
    while _before:
        number, before = _before.popitem()
        loop.remove_signal_handler(number)
        if before is not None:
            signal.signal(number, before)


def _told() -> None:
    for stop in tuple(_stops):
        stop()
