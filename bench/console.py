"""What the command lines of the benchmarks share: progress, the page that they make, and an end in good order."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
"""Where the documentation has the pages of whole runs."""


def say(line: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def deliver(page: str, output: Path | None) -> None:
    """Print the page, and write it where it belongs."""
    print(page)
    if output:
        output.write_text(page)
        say(f"wrote {output}")


def run(main: Callable[[], int], *told: type[Exception]) -> NoReturn:
    """Exit with what ``main`` returns, or with the words of an error that is to be ``told``.

    SIGTERM ends it as Ctrl-C does: whatever was started is ended.
    """
    signal.signal(signal.SIGTERM, _stop)
    try:
        sys.exit(main())
    except told as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")


def _stop(*_: object) -> NoReturn:
    raise SystemExit("told to stop")
