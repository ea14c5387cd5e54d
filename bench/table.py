"""Writes results as Markdown: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.figures import cell, percentile, times_better, written
from bench.peer import OURS, Peer
from bench.rounds import Result

MARK = "<!-- Made by bench/run; change it there. -->"


def row(cells: Sequence[str]) -> str:
    """One line of a table.

    >>> row(["a", "b"])
    '| a | b |'
    """
    return "| " + " | ".join(cells) + " |"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table: the first column to the left, numbers to the right."""
    return [row(head), row(["---", *("--:" for _ in head[1:])]), *map(row, rows)]


def times(what: str, seconds: Sequence[float]) -> list[str]:
    """A row of times in ms: how many, the middle, and how bad they get.

    >>> times("x", [0.001, 0.002, 0.003])
    ['x', '3', '2.00', '3.00', '3.00', '3.00']
    """
    shares = [written(1000 * percentile(seconds, share)) for share in (0.5, 0.9, 0.99, 1.0)]
    return [what, str(len(seconds)), *shares]


def cause(why: str) -> str:
    """Of an error with the end of a log: what failed, and the log's last line.

    >>> cause("step failed\\nTraceback\\nImportError: x"), cause("step failed")
    ('step failed (ImportError: x)', 'step failed')
    """
    first, *rest = why.splitlines()
    return f"{first} ({rest[-1].strip()})" if rest else first


def section(result: Result, peers: Mapping[str, Peer]) -> list[str]:
    """A measure's heading, method, table and failures; peers in the order of their first compared figure."""
    measure = result.measure
    compared = next((figure for figure in measure.figures if figure.compared), None)
    head = ["", *(figure.title.strip() for figure in measure.figures)]
    if compared:
        head.append(f"jobfleet is better by ({compared.title})")
    rows = []
    for key in result.rounds:
        cells = [peers[key].name, *(cell(result.spread(key, figure.key)) for figure in measure.figures)]
        if compared:
            own, other = result.spread(OURS, compared.key), result.spread(key, compared.key)
            ratio = times_better(own.median, other.median, compared.better) if own and other and key != OURS else None
            cells.append(f"{written(ratio)} x" if ratio else "")
        rows.append(cells)
    lines = [f"## {measure.title}", "", measure.about, "", *table(head, rows)]
    for key, why in result.failures.items():
        lines += ["", f"{peers[key].name} has no figures here: {cause(why)}."]
    return lines


def page(results: Sequence[Result], peers: Mapping[str, Peer], facts: Mapping[str, str]) -> str:
    """The whole page."""
    settings = table(
        ["peer", "version", "delivery", "setting"],
        [[peer.name, peer.version or "this repository's", peer.delivery, peer.setting] for peer in peers.values()],
    )
    settings[1] = row(["---"] * 4)
    lines = [MARK, "", "# Results", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "Medians; in brackets the lowest and the highest round.", "", *settings]
    for result in results:
        if result.rounds or result.failures:
            lines += ["", *section(result, peers)]
    return "\n".join(lines) + "\n"
