"""The command line: `make bench-zero`."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples" / "photos"))

from photo_demo.errors import DemoError  # noqa: E402 - after the path
from photo_demo.pod_watch import PodWatch  # noqa: E402

from bench import machine  # noqa: E402
from bench.children import Broken  # noqa: E402
from bench.console import FIGURES, deliver, run, say  # noqa: E402
from bench.table import table, times  # noqa: E402
from bench.zero.rounds import STAGES, WORKERS, Round, play, seconds  # noqa: E402
from bench.zero.stage import NAMESPACE, redis_of, stage  # noqa: E402
from cluster_tool import versions  # noqa: E402
from jobfleet import Fleet  # noqa: E402

ROUNDS = 10
MARK = "<!-- Made by `make bench-zero`; change it there. -->"
RESULTS = FIGURES / "from-zero.md"


def parser() -> argparse.ArgumentParser:
    """The options."""
    reader = argparse.ArgumentParser(
        prog="make bench-zero",
        description="Measures, on a cluster of its own with real Pods, how long a job waits for a pool that stands at "
        "zero workers, and where the time goes.",
    )
    reader.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"jobs, one after the other [{ROUNDS}]")
    reader.add_argument("--patience", type=float, default=120.0, metavar="S", help="after which it gives up [120]")
    reader.add_argument("--output", type=Path, help=f"the page to write [docs/figures/from-zero.md at {ROUNDS} rounds]")
    return reader


def page(rounds: Sequence[Round], facts: Mapping[str, str]) -> str:
    """The results as Markdown."""
    rows = [times(what, seconds(rounds, *ends)) for what, ends in STAGES.items()]
    lines = [MARK, "", "# From zero workers, on real Pods", "", *(f"- {what}: {said}" for what, said in facts.items())]
    lines += ["", "The image is on the node; one worker starts for one job, whose handler does nothing.", ""]
    return "\n".join([*lines, *table(["ms", "samples", "p50", "p90", "p99", "max"], rows)]) + "\n"


def measure(count: int, patience: float, log: Path) -> list[Round]:
    """So many rounds, and one before them that is not counted."""
    rounds = []
    with stage(say) as kubectl, redis_of(kubectl, log) as url, PodWatch(kubectl, WORKERS) as watch:
        fleet = Fleet(url, realm=NAMESPACE)
        with contextlib.closing(fleet.sync_client()):
            for number in range(count + 1):
                one = play(watch, fleet, patience)
                say(f"round {number} of {count}: {(one.completed - one.enqueued) / 1000:.2f} s")
                rounds.append(one)
    return rounds[1:]


def main() -> int:
    """Measure and print the page."""
    said = parser().parse_args()
    if said.rounds < 1:
        raise Broken(f"--rounds: {said.rounds} must be at least 1")
    begun, load = time.monotonic(), machine.load()
    with tempfile.TemporaryDirectory(prefix="jobfleet-bench-") as folder:
        rounds = measure(said.rounds, said.patience, Path(folder) / "forward.log")
    facts = {
        "Date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "Machine": f"{machine.description()}, load {load:.1f} before the run",
        "Versions": f"Kubernetes {versions.KUBERNETES}, Python {platform.python_version()}; cluster, Redis and workers "
        "on one machine",
        "Took": f"{(time.monotonic() - begun) / 60:.0f} minutes",
    }
    text = page(rounds, facts)
    deliver(text, said.output or (RESULTS if said.rounds == ROUNDS else None))
    return 0


if __name__ == "__main__":
    run(main, Broken, DemoError)
