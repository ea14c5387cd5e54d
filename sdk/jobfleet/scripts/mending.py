"""Verbs that find jobs gone astray, and put them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobfleet.audit import NOBODY, Author
from jobfleet.keys import queue_keys
from jobfleet.scripts.command import Command, Script

_astray = Script("astray")
_standing = Script("standing")
_mend = Script("mend")


@dataclass(frozen=True, slots=True)
class Astray:
    """Some jobs that may have gone astray.

    Attributes:
        waiting: waiting ones, each with the line in which it should stand, as ``priority:group``.
        unlisted: delayed, failed and cancelled ones that are not in the set of their state.
    """

    cursor: str
    waiting: dict[str, str]
    unlisted: list[str]


def _pairs(flat: list[bytes]) -> dict[str, str]:
    return {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}


def astray(realm: str, queue: str, cursor: str, limit: int) -> Command[Astray]:
    """Look at about ``limit`` jobs; from cursor "0" on until it is "0" again."""

    def parse(raw: list[Any]) -> Astray:
        at, waiting, unlisted = raw
        return Astray(at.decode(), _pairs(waiting), [i.decode() for i in unlisted])

    return Command(_astray, queue_keys(realm, queue).all, [cursor, limit], parse)


Standing = tuple[int, int, list[tuple[str, list[str]]]]
"""Line and place where to go on; and by line, as ``priority:group``, ids in it."""


def standing(realm: str, queue: str, line: int, place: int, limit: int) -> Command[Standing]:
    """Some ids that stand in the lines, about ``limit``: from line 1, place 0 until the line is 0."""
    keys = queue_keys(realm, queue)

    def parse(raw: list[Any]) -> Standing:
        next_line, next_place, flat = raw
        found = [(flat[i].decode(), flat[i + 1].decode().split()) for i in range(0, len(flat), 2)]
        return next_line, next_place, found

    return Command(_standing, [*keys.lines, keys.group_part], [line, place, limit], parse)


def mend(realm: str, queue: str, job_ids: Sequence[str], by: Author = NOBODY) -> Command[int]:
    """Put jobs that went astray where jobs of their state stand; the answer is how many."""
    keys = queue_keys(realm, queue)
    return Command(_mend, [*keys.all, keys.audit], [by.packed(), *job_ids], int)
