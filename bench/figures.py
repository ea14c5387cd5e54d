"""Statistics of a few rounds, and how numbers are written: pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Better(Enum):
    """Which way a figure is good."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class Figure:
    """What a measure measures.

    Attributes:
        key: its name in a round's answer.
        title: its column, with the unit.
        better: whether more of it is good or less.
        compared: whether the ratio to jobfleet is shown.
    """

    key: str
    title: str
    better: Better
    compared: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some rounds and how far they lie apart."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Sequence[float]) -> Spread | None:
    """The spread of what was measured; None where nothing was.

    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.0, high=3.0, rounds=3)
    >>> spread([]) is None
    True
    """
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values), len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of the values do not exceed.

    >>> percentile([1, 2, 3, 4], 0.5), percentile([1, 2, 3, 4], 0.99), percentile([7], 0)
    (2, 4, 7)

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("a percentile of no values")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def times_better(own: float, peer: float, better: Better) -> float | None:
    """How many times better ``own`` is than ``peer``; None where one of them is zero.

    >>> times_better(200, 100, Better.MORE), times_better(200, 100, Better.LESS)
    (2.0, 0.5)
    >>> times_better(1, 0, Better.MORE) is None
    True
    """
    if not own or not peer:
        return None
    return own / peer if better is Better.MORE else peer / own


def written(value: float) -> str:
    """A number for people: three digits that count, thousands set apart.

    >>> [written(n) for n in (0, 0.01234, 1.306, 12.34, 123.4, 41234.6)]
    ['0', '0.0123', '1.31', '12.3', '123', '41,235']
    """
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{digits}f}"


def cell(measured: Spread | None) -> str:
    """A spread for a table: the median, and where there were several rounds the ends.

    >>> cell(Spread(2.0, 1.0, 3.0, 3)), cell(Spread(2.0, 2.0, 2.0, 1)), cell(None)
    ('2.00 (1.00-3.00)', '2.00', '')
    """
    if measured is None:
        return ""
    if measured.rounds == 1 or written(measured.low) == written(measured.high):
        return written(measured.median)
    return f"{written(measured.median)} ({written(measured.low)}-{written(measured.high)})"
