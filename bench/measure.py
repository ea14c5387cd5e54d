"""What a measure is."""

from __future__ import annotations

from typing import ClassVar

from bench.figures import Figure
from bench.peer import Peer
from bench.stand import Stand


class Measure:
    """One thing that is measured of each peer that can do it.

    Attributes:
        name: on the command line.
        title: over its table.
        about: what is measured and how, in sentences, under the title.
        figures: the columns.
        optional: only measured when it is named.
        most_rounds: more rounds would show the same.
    """

    name: str
    title: str
    about: str
    figures: tuple[Figure, ...]
    optional: ClassVar[bool] = False
    most_rounds: ClassVar[int] = 100

    def able(self, peer: Peer) -> bool:
        """Whether the peer can do this at all."""
        raise NotImplementedError

    def prepare(self, stand: Stand, peer: Peer) -> int:
        """Once before the rounds: warm up; how large the peer's rounds shall be."""
        del stand, peer
        return 0

    def round(self, stand: Stand, peer: Peer, size: int) -> dict[str, float]:
        """One round; figures that have no value this time are left out.

        Raises:
            Broken: not every job was enqueued, or not every job ran.
        """
        raise NotImplementedError
