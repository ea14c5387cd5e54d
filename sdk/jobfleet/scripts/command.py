"""A Command is one script call as a value; a Script is one file of ``lua/``, its includes and the defaults put in.

A script writes ``DEFAULTS`` for a table of all settings' defaults, and ``DEFAULT.name`` for one of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Generic, TypeVar

from jobfleet.settings import DEFAULTS

T = TypeVar("T")
Argument = str | bytes | int
_INCLUDE = re.compile(r"^--@include (\w+)$", re.MULTILINE)
_DEFAULT = re.compile(r"\bDEFAULT\.(\w+)")


def _lua(value: int | str) -> str:
    return str(value) if isinstance(value, int) else f"'{value}'"


_TABLE = ", ".join(f"{name} = {_lua(value)}" for name, value in DEFAULTS.items())


class Script:
    """A Lua verb, and the SHA-1 under which Redis keeps it."""

    __slots__ = ("name", "sha", "text")

    def __init__(self, name: str) -> None:
        folder = files("jobfleet.scripts") / "lua"

        def included(match: re.Match[str]) -> str:
            return (folder / f"{match[1]}.lua").read_text("utf-8")

        self.name = name
        text = _INCLUDE.sub(included, (folder / f"{name}.lua").read_text("utf-8"))
        text = re.sub(r"\bDEFAULTS\b", f"{{{_TABLE}}}", text)
        self.text = _DEFAULT.sub(lambda match: _lua(DEFAULTS[match[1]]), text)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Pause:
    """What a flow yields that wants to wait before it goes on."""

    seconds: float


@dataclass(slots=True)
class Command(Generic[T]):
    """One call of a script.

    Attributes:
        parse: turns Redis' answer into what the caller wants; may raise an error of ``jobfleet.errors``.
    """

    script: Script
    keys: Sequence[str]
    args: Sequence[Argument]
    parse: Callable[[Any], T]
