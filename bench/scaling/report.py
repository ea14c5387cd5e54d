"""What came of it: the table, and a picture of the workers over time. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.figures import percentile, written
from bench.scaling.traces import Trace
from bench.scaling.world import World
from bench.table import row

COLORS = {"jobfleet": "#1f6feb", "KEDA and HPA": "#d1242f"}
WIDTH, HEIGHT, LEFT, GAP = 760, 110, 40, 44
SHOWN_SECONDS = 3900.0
"""What is later is not in the picture: more of the same."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trace under one controller; times in seconds.

    Attributes:
        waits: of each job, from the time that it was due until its end, less its run time: so what an interruption
            costs is in it. An unfinished job counts until the end of the simulation.
        paid: worker-seconds, each Pod from its creation to its end.
        interrupted: times that a running job was cut off and had to start anew.
        unfinished: jobs that were not done two hours after the last one was due.
    """

    waits: tuple[float, ...]
    paid: float
    interrupted: int
    unfinished: int
    sizes: tuple[tuple[float, int], ...]
    end: float


def outcome(world: World) -> Outcome:
    """Of a world that has run."""
    jobs = world.trace.jobs
    waits = tuple(max(0.0, world.done.get(job.number, world.now) - job.due - job.seconds) for job in jobs)
    unfinished = len(jobs) - len(world.done)
    return Outcome(waits, world.paid_seconds, world.interrupted, unfinished, tuple(world.sizes), world.now)


Results = Mapping[str, Mapping[str, Outcome]]
"""Trace → side → what came of it."""


def table(traces: Sequence[Trace], results: Results) -> str:
    """A heading and a table for each trace."""
    head = ["", "waited, median", "95 %", "longest", "worker-seconds", "interrupted", "unfinished"]
    lines: list[str] = []
    for trace in traces:
        settings = f"{trace.slots} slots a worker, at most {trace.most} workers, {trace.per_worker} jobs a worker"
        lines += ["", f"**{trace.name}**: {trace.about} ({settings})", "", row(head), row(["---", *["--:"] * 6])]
        for side, found in results[trace.name].items():
            seconds = [percentile(found.waits, share) for share in (0.5, 0.95, 1.0)]
            counts = [f"{found.paid:,.0f}", str(found.interrupted), str(found.unfinished)]
            lines.append(row([side, *(f"{written(round(s, 1))} s" for s in seconds), *counts]))
    return "\n".join(lines[1:]) + "\n"


def picture(traces: Sequence[Trace], results: Results) -> str:
    """An SVG: for each trace, the Pods of both sides over time."""
    height = len(traces) * (HEIGHT + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-size="11">',
        "<style>text { font-family: sans-serif }</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for number, (side, color) in enumerate(COLORS.items()):
        x = LEFT + number * 130
        parts.append(
            f'<rect x="{x}" y="10" width="14" height="4" fill="{color}"/><text x="{x + 20}" y="16">{side}</text>'
        )
    for number, trace in enumerate(traces):
        found = {side: results[trace.name][side] for side in COLORS}
        parts += _panel(trace, found, GAP + number * (HEIGHT + GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(trace: Trace, found: Mapping[str, Outcome], top: int) -> list[str]:
    begin = max(0.0, min(job.due for job in trace.jobs) - 60.0)
    end = min(max(one.end for one in found.values()), begin + SHOWN_SECONDS)
    shown = {side: [(at, size) for at, size in one.sizes if at <= end] for side, one in found.items()}
    most = max(size for sizes in shown.values() for _, size in sizes)

    def place(seconds: float, size: int) -> str:
        x = LEFT + (min(max(seconds, begin), end) - begin) / (end - begin) * (WIDTH - LEFT - 10)
        return f"{x:.1f},{top + HEIGHT - size / most * HEIGHT:.1f}"

    base = top + HEIGHT
    parts = [
        f'<text x="{LEFT}" y="{top - 6}" font-weight="bold">{trace.name}</text>',
        f'<path d="M{LEFT},{top} V{base} H{WIDTH - 10}" fill="none" stroke="#888"/>',
        f'<text x="{LEFT - 6}" y="{top + 8}" text-anchor="end">{most}</text>',
        f'<text x="{LEFT - 6}" y="{base}" text-anchor="end">0</text>',
        f'<text x="{WIDTH - 10}" y="{base + 14}" text-anchor="end">{(end - begin) / 60:.0f} min</text>',
    ]
    for side, sizes in shown.items():
        points, size = [], 0
        for at, after in (*sizes, (end, sizes[-1][1])):
            points += [place(at, size), place(at, after)]
            size = after
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{COLORS[side]}" stroke-width="1.5"/>')
    return parts
