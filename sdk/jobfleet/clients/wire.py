"""A Command as bytes of RESP, the protocol of Redis. Pure.

redis-py packs each argument by itself, with a look at its type; forty keys that never change deserve better.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from jobfleet.scripts.command import Argument, Command


@lru_cache(maxsize=4096)
def _head(verb: bytes, name: str, keys: tuple[str, ...]) -> tuple[int, bytes]:
    """What stands before the arguments, and how many parts it has."""
    parts = [verb, name.encode(), str(len(keys)).encode(), *(key.encode() for key in keys)]
    return len(parts), b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def _tail(args: Sequence[Argument]) -> bytes:
    parts = []
    for arg in args:
        part = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(part), part))
    return b"".join(parts)


def by_sha(command: Command[object]) -> bytes:
    """The call by the name under which Redis keeps the script."""
    count, head = _head(b"EVALSHA", command.script.sha, tuple(command.keys))
    return b"*%d\r\n%b%b" % (count + len(command.args), head, _tail(command.args))


def by_text(command: Command[object]) -> bytes:
    """The call with the script itself, for a Redis that does not have it yet."""
    count, head = _head(b"EVAL", command.script.text, tuple(command.keys))
    return b"*%d\r\n%b%b" % (count + len(command.args), head, _tail(command.args))
