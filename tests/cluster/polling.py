"""Wait for something with a deadline; the only place where the cluster tests sleep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

T = TypeVar("T")

INTERVAL_SECONDS = 0.3


def eventually(question: Callable[[], T], what: str, *, seconds: float = 120) -> T:
    """Ask until the answer is true, and return it; fail when `seconds` are over, telling the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"within {seconds:.0f} s not true: {what}; the last answer was {answer!r}")
        time.sleep(INTERVAL_SECONDS)


def rounds(seconds: float, pause: Callable[[], float]) -> Iterator[None]:
    """Come round for so long, with a pause of `pause()` seconds after each round."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(pause())
