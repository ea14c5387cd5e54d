"""A short name for failures that have one cause, so that ten thousand of them read as one. Pure.

It is made of the exception's class, its message without what differs from job to job, and the innermost function of
the user's own code, by module and name but not by line: it outlives an edit above that line.
"""

from __future__ import annotations

import hashlib
import re
from types import TracebackType

_WORD = re.compile(r"[-.\w]+")
MAX_CHARACTERS = 2_000
"""Of a message; what comes after does not count."""


def masked(message: str) -> str:
    """A message with every word struck out that holds a digit: numbers, ids, addresses, hashes.

    >>> masked("photo 17 of user 3f2b8c9d-1111-2222-3333-444455556666 is 0x7f3a wide")
    'photo # of user # is # wide'
    >>> masked("no route to host-12.example: [Errno 113]")
    'no route to #: [Errno #]'
    """
    return _WORD.sub(_strike, message[:MAX_CHARACTERS])


def _strike(word: re.Match[str]) -> str:
    text = word[0]
    return "#" if any(character.isdigit() for character in text) else text


def place(trace: TracebackType | None, home: str = "") -> str:
    """The innermost function of the package ``home`` that an exception came through; empty: none.

    Where no home is given, it is the package of the first function that is not jobfleet's.
    """
    found = ""
    while trace is not None:
        frame = trace.tb_frame
        module = str(frame.f_globals.get("__name__", ""))
        package = module.partition(".")[0]
        if package == home or (not home and package != "jobfleet"):
            home = package
            found = f"{module}:{frame.f_code.co_qualname}"
        trace = trace.tb_next
    return found


def fingerprint(kind: str, message: str, trace: TracebackType | None = None, home: str = "") -> str:
    """16 hexadecimal characters; the same for failures with one cause.

    >>> fingerprint("OSError", "photo 1 is gone") == fingerprint("OSError", "photo 2 is gone")
    True
    >>> fingerprint("OSError", "photo 1 is gone") == fingerprint("KeyError", "photo 1 is gone")
    False
    """
    text = "\n".join((kind, masked(message), place(trace, home)))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
