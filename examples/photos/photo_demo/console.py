"""What the demo says on the terminal: steps with their time, and a table that is drawn anew in place."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator

_BEGAN = time.monotonic()

AGE = re.compile(r"(\d+[dhms]){1,2}")
"""How kubectl writes an age."""


def say(text: str) -> None:
    """Print a line with the seconds since the demo began."""
    # One write, because two steps may speak at the same time.
    sys.stdout.write(f"[{time.monotonic() - _BEGAN:6.1f} s] {text}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Announce a step, and when it is done how long it took."""
    say(f"{what} ...")
    began = time.monotonic()
    yield
    say(f"{what}: done in {time.monotonic() - began:.1f} s")


class Board:
    """A table that changes: drawn over its older self on a terminal; printed anew elsewhere, when a number changed."""

    def __init__(self) -> None:
        self._in_place = sys.stdout.isatty()
        self._lines = 0
        self._shown = ""

    def show(self, title: str, table: str) -> None:
        """Draw the table under its title."""
        content = without_ages(table)
        if content == self._shown and not self._in_place:
            return
        if self._in_place and self._lines:
            sys.stdout.write(f"\x1b[{self._lines}A\x1b[J")
        say(title)
        text = table.rstrip("\n") + "\n"
        sys.stdout.write(text + ("" if self._in_place else "\n"))
        sys.stdout.flush()
        self._lines = 1 + text.count("\n")
        self._shown = content


def without_ages(table: str) -> str:
    """The table without what changes by itself, and without the width that this has.

    >>> without_ages("photos   12   3/s   2m7s   45s\\n")
    'photos 12 3/s\\n'
    """
    lines = ([word for word in line.split() if not AGE.fullmatch(word)] for line in table.splitlines())
    return "".join(" ".join(words) + "\n" for words in lines)
