"""The command line: `make bench-operator`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import datetime
import platform
import tempfile
import time
from pathlib import Path

import yaml

from bench import machine
from bench.children import Broken
from bench.console import FIGURES, deliver, run, say
from bench.operator import page, population
from bench.operator.api import Api
from bench.operator.phases import Phases
from bench.operator.plant import Plant, plant
from bench.operator.sizes import QUICK, Sizes
from cluster_tool import versions
from cluster_tool.errors import ClusterToolError

KINDS = ("jobqueues", "workerpools")
ROOT = Path(__file__).parents[2]
RESULTS = FIGURES / "operator.md"


def parser() -> argparse.ArgumentParser:
    """The options; each size has one of its own."""
    reader = argparse.ArgumentParser(
        prog="make bench-operator",
        description="Measures the operator on an API server, etcd, controllers, fake node and Redis of its own: cold "
        "and warm start, cost while nothing happens, from enqueue to the patched Deployment, cost while numbers move.",
    )
    reader.add_argument("--quick", action="store_true", help="a smoke run of small sizes")
    reader.add_argument("--output", type=Path, help="the page to write [docs/figures/operator.md at default sizes]")
    for one in dataclasses.fields(Sizes):
        quick = getattr(QUICK, one.name)
        kind = int if isinstance(quick, int) else float
        reader.add_argument(
            f"--{one.name.replace('_', '-')}", type=kind, metavar="N", help=f"[{one.default}; quick: {quick}]"
        )
    return reader


def sizes(said: argparse.Namespace) -> Sizes:
    """The sizes that the command line asks for."""
    given = {one.name: getattr(said, one.name) for one in dataclasses.fields(Sizes)}
    return dataclasses.replace(
        QUICK if said.quick else Sizes(), **{name: value for name, value in given.items() if value is not None}
    )


async def measure(plant: Plant, chosen: Sizes) -> page.Results:
    """All phases, one after the other."""
    async with Api(plant.kubeconfig) as api, contextlib.AsyncExitStack() as stack:
        await api.teach([yaml.safe_load((ROOT / "crds" / f"{kind}.yaml").read_text()) for kind in KINDS])
        say(f"create {chosen.queues} JobQueues and WorkerPools")
        await population.create(api, chosen.queues)
        phases = Phases(plant, api, chosen, say)
        stack.push_async_callback(phases.close)
        cold = await phases.cold_start()
        await phases.idle()
        warm = await phases.warm_starts()
        calling, control = await phases.reactions()
        burst = await phases.burst()
        await phases.moving()
        return page.Results(chosen, cold, warm, calling.done, control, burst.done, phases.costs)


def main() -> int:
    """Measure and print the page."""
    said = parser().parse_args()
    chosen = sizes(said)
    begun, load = time.monotonic(), machine.load()
    with tempfile.TemporaryDirectory(prefix="jobfleet-bench-") as folder, plant(Path(folder)) as built:
        facts = {
            "Date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "Machine": f"{machine.description()}, load {load:.1f} before the run",
            "Versions": f"Kubernetes {versions.KUBERNETES} with etcd without fsync, kwok {versions.KWOK}, "
            f"Redis {built.redis.version()}, Python {platform.python_version()}; all on one machine",
        }
        results = asyncio.run(measure(built, chosen))
        facts["Took"] = f"{(time.monotonic() - begun) / 60:.0f} minutes; load {machine.load():.1f} at the end"
    text = page.page(results, facts)
    deliver(text, said.output or (RESULTS if chosen == Sizes() else None))
    return 0


if __name__ == "__main__":
    run(main, Broken, ClusterToolError)
