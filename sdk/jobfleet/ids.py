"""New job ids: short, in the order of time, and no two alike."""

from __future__ import annotations

import itertools
import os
import time
from typing import Final

_ALPHABET: Final = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)


class _Ids:
    """47 bits of time in ms, 32 random bits of this process, a counter of 24; 18 characters, by time."""

    def __init__(self) -> None:
        self.reseed()

    def reseed(self) -> None:
        """Draw this process' random part; a forked child must not share its parent's."""
        self._process = int.from_bytes(os.urandom(4), "big")
        self._counter = itertools.count(int.from_bytes(os.urandom(3), "big"))  # next() is atomic: threads share it
        self._latest = (-1, "")

    def new(self) -> str:
        """An id that no other call, thread, process or machine gives."""
        ms = time.time_ns() // 1_000_000
        latest, head = self._latest
        if ms != latest:
            head = self._head(ms)
            self._latest = (ms, head)
        tail = (self._process & 3) << 28 | (next(self._counter) & 0xFFFFFF) << 4
        return head + _PAIRS[tail >> 18] + _PAIRS[tail >> 6 & 4095] + _ALPHABET[tail & 63]

    def _head(self, ms: int) -> str:
        """The first 13 characters: time and all but two bits of the process; never "-" first, as options have it."""
        number = 1 << 77 | (ms & 0x7FFFFFFFFFFF) << 30 | self._process >> 2
        return "".join(_ALPHABET[number >> shift & 63] for shift in range(72, -1, -6))


_ids = _Ids()
new_job_id = _ids.new
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.reseed)
