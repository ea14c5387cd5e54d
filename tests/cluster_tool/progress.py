"""What the tool says while it works: one line when a step starts, one when it ends, and a sign of life between.

Everything goes to standard error, so that standard output holds answers only.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

SIGN_OF_LIFE_SECONDS = 20.0
"""How often a long step says that it still works."""


def say(sentence: str) -> None:
    """Prints one line."""
    print(f"cluster: {sentence}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(what: str, hint: str = "") -> Iterator[None]:
    """Announces a step and how long it may take, gives signs of life, and tells how long it took."""
    started = time.monotonic()
    ended = threading.Event()

    def sign_of_life() -> None:
        while not ended.wait(SIGN_OF_LIFE_SECONDS):
            say(f"{what}: still at it after {time.monotonic() - started:.0f} s")

    say(f"{what}{f' ({hint})' if hint else ''} …")
    watcher = threading.Thread(target=sign_of_life, daemon=True)
    watcher.start()
    try:
        yield
    except BaseException:
        say(f"{what}: failed after {time.monotonic() - started:.1f} s")
        raise
    finally:
        ended.set()
        watcher.join()
    say(f"{what}: done in {time.monotonic() - started:.1f} s")
