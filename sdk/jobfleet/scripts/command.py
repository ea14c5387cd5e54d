"""A Command is one script call as a value; a Script is one file of ``lua/``, its includes and the defaults put in.

A script writes ``DEFAULTS`` for a table of all settings' defaults, and ``DEFAULT.name`` for one of them.
"""

from __future__ import annotations

import hashlib
import pkgutil
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
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

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def text(self) -> str:
        """The script, read when first needed."""
        text = re.sub(r"\bDEFAULTS\b", f"{{{_TABLE}}}", _whole(self.name))
        return _DEFAULT.sub(lambda match: _lua(DEFAULTS[match[1]]), text)

    @cached_property
    def sha(self) -> str:
        """As :attr:`text`."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _whole(name: str) -> str:
    return _INCLUDE.sub(lambda match: _whole(match[1]), _read(name))


def _read(name: str) -> str:
    data = pkgutil.get_data("jobfleet.scripts", f"lua/{name}.lua")
    if data is None:
        raise FileNotFoundError(f"lua/{name}.lua is missing from the package jobfleet.scripts")
    return data.decode()


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
