"""Runs the rounds: peers take turns, so that what slows the machine down for a while slows all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.children import Broken
from bench.figures import Spread, spread, written
from bench.measure import Measure
from bench.peer import Peer
from bench.stand import Stand

Say = Callable[[str], None]


@dataclass(slots=True)
class Result:
    """What the rounds of one measure gave.

    Attributes:
        rounds: of each peer, by its key, the figures of its rounds.
        failures: of each peer that failed, why.
    """

    measure: Measure
    rounds: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def spread(self, peer: str, key: str) -> Spread | None:
        """The spread of a peer's figure."""
        return spread([figures[key] for figures in self.rounds.get(peer, []) if key in figures])


def run(measure: Measure, peers: Sequence[Peer], stand: Stand, say: Say) -> Result:
    """Measure the peers that are able, A B C A B C …; a peer that fails once is left out from then on."""
    result = Result(measure)
    rounds = min(stand.options.rounds, measure.most_rounds)
    sizes: dict[str, int] = {}
    able = [peer for peer in peers if measure.able(peer)]
    for peer in able:
        try:
            sizes[peer.key] = measure.prepare(stand, peer)
        except Broken as error:
            _fail(result, peer, error, say)
    for number in range(1, rounds + 1):
        for peer in able:
            if peer.key in result.failures:
                continue
            try:
                figures = measure.round(stand, peer, sizes[peer.key])
            except Broken as error:
                _fail(result, peer, error, say)
                continue
            result.rounds.setdefault(peer.key, []).append(figures)
            shown = ", ".join(
                f"{f.title.strip()} {written(figures[f.key])}" for f in measure.figures if f.key in figures
            )
            say(f"{measure.name} {number}/{rounds} {peer.key}: {shown}")
    return result


def _fail(result: Result, peer: Peer, error: Broken, say: Say) -> None:
    """Figures of a peer that failed are not printed: what was not verified is not known."""
    result.failures[peer.key] = str(error)
    result.rounds.pop(peer.key, None)
    say(f"{result.measure.name} {peer.key} FAILED: {error}")
