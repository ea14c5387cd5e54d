"""The signals of a program whose work is its workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from fixtures.workers import until_true
from jobfleet.worker import interrupts

BOTH = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What the program's own handlers hear; they are put back after the test."""
    heard: list[str] = []
    before = {number: signal.signal(number, lambda *_: heard.append("program")) for number in BOTH}
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", BOTH)
async def test_all_that_ask_are_told_while_one_is_left_and_then_the_program_is_again(
    heard: list[str], number: signal.Signals
) -> None:
    def tell() -> None:
        os.kill(os.getpid(), number)

    with interrupts.taken(lambda: heard.append("first")):
        with interrupts.taken(lambda: heard.append("second")):
            tell()
            await until_true(lambda: heard == ["first", "second"])
        tell()
        await until_true(lambda: heard == ["first", "second", "first"])
    tell()
    assert heard[3:] == ["program"]
