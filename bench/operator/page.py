"""Writes the results as Markdown: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.figures import cell, spread, written
from bench.operator import audit
from bench.operator.phases import Cost, Reaction
from bench.operator.sizes import Sizes
from bench.table import table, times

MARK = "<!-- Made by `make bench-operator`; change it there. -->"


@dataclass(frozen=True, slots=True)
class Results:
    """What the phases gave."""

    sizes: Sizes
    cold: Mapping[str, float]
    warm: Mapping[str, Sequence[float]]
    reactions: Sequence[Reaction]
    control: Sequence[float]
    burst: Sequence[Reaction]
    costs: Sequence[Cost]


def share_of_ticks(cost: Cost, queues: int) -> float:
    """Status writes for each time that a queue or pool was looked at: once a second each."""
    return audit.status_writes(cost.calls) / (2 * queues * cost.seconds)


def page(results: Results, facts: Mapping[str, str]) -> str:
    """The whole page."""
    queues = results.sizes.queues
    lines = [MARK, "", f"# The operator with {queues:,} queues and pools", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "## From enqueue to the patched Deployment", "", *_reactions(results)]
    lines += ["", "## Starts", "", *_starts(results)]
    lines += ["", "## Costs", "", *_costs(results.costs, queues)]
    return "\n".join(lines) + "\n"


def _reactions(results: Results) -> list[str]:
    one, many = results.reactions, results.burst
    rows = [
        times("enqueue to patched", [r.patched - r.enqueued for r in one]),
        times("of this the operator: until the API server has the request", [r.received - r.enqueued for r in one]),
        times("of this the API server: its answer", [r.patched - r.received for r in one]),
        times("beside it: the same PATCH straight from the benchmark", results.control),
        times(f"{len(many)} queues at once: enqueue to patched", [r.patched - r.enqueued for r in many]),
        times("of this the operator", [r.received - r.enqueued for r in many]),
    ]
    return table(["ms", "samples", "p50", "p90", "p99", "max"], rows)


def _starts(results: Results) -> list[str]:
    rows = [["cold: " + what, f"{written(seconds)} s"] for what, seconds in results.cold.items()]
    for what, values in results.warm.items():
        rows.append([f"warm: {what}", cell(spread(values)) + " s"])
    return table(["from the start of the process until", ""], rows)


def _costs(costs: Sequence[Cost], queues: int) -> list[str]:
    rows = []
    for cost in costs:
        calls = ", ".join(f"{count} {what}" for what, count in audit.counts(cost.calls)[:6]) or "none"
        rows.append(
            [
                cost.name,
                f"{cost.seconds:.0f}",
                f"{100 * cost.cpu:.0f} %",
                f"{cost.rss / 1e6:.0f}",
                f"{100 * share_of_ticks(cost, queues):.2f} %",
                calls,
            ]
        )
    return table(["while", "s", "of a core", "RSS MB", "status writes of ticks", "calls of the API server"], rows)
