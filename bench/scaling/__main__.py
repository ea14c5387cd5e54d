"""The command line: `make bench-scaling`. Some seconds; the same figures each time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.scaling.fleet import Jobfleet
from bench.scaling.keda import Keda
from bench.scaling.report import Results, outcome, picture, table
from bench.scaling.traces import Trace, all_traces
from bench.scaling.world import Controller, World
from jobfleet_operator.scaling import Policy, Shrinkage

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "scaling-compared.md"
PICTURE = PAGE.with_suffix(".svg")
BEGIN, END = "<!-- Made by make bench-scaling; change it there. -->\n", "<!-- end of what is made -->\n"


def policy(trace: Trace) -> Policy:
    """jobfleet's defaults, and what both sides are given."""
    return Policy(max_workers=trace.most, concurrency=trace.slots, backlog_per_worker=trace.per_worker)


SIDES: dict[str, Callable[[Trace], Controller]] = {
    "jobfleet": lambda trace: Jobfleet(policy(trace)),
    "jobfleet, drainWithinSeconds: 60": lambda trace: Jobfleet(replace(policy(trace), drain_within_seconds=60)),
    "jobfleet, scaleDown.stabilizationSeconds: 300": lambda trace: Jobfleet(
        replace(policy(trace), down=Shrinkage(window_seconds=300))
    ),
    "KEDA and HPA": lambda _: Keda(),
}


def simulate(traces: list[Trace]) -> Results:
    """Every trace under every side."""
    return {
        trace.name: {side: outcome(World(trace, make(trace)).run()) for side, make in SIDES.items()} for trace in traces
    }


def with_table(page: str, made: str) -> str:
    """The page with its table replaced.

    >>> with_table(f"before\\n{BEGIN}old\\n{END}after\\n", "new\\n") == f"before\\n{BEGIN}new\\n{END}after\\n"
    True
    """
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{made}{END}{after}"


def main() -> int:
    """Simulate, print, and write the table and the picture into the documentation."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scaling",
        description="Plays five traces against jobfleet's scaling and a model of KEDA and the HPA by their defaults; "
        f"prints the table and writes it and a picture to {PAGE.parent.name}/.",
    )
    parser.add_argument("--dry-run", action="store_true", help="print only")
    only_print = parser.parse_args().dry_run
    traces = all_traces()
    results = simulate(traces)
    made = table(traces, results)
    print(made)
    if not only_print:
        PAGE.write_text(with_table(PAGE.read_text(), made))
        PICTURE.write_text(picture(traces, results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
