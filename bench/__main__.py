"""The command line: `bench/run`, or `make bench`."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import platform
import tempfile
import time
from pathlib import Path

from bench import environments, machine, rounds, table
from bench.children import Broken
from bench.console import FIGURES, deliver, run, say
from bench.measures import all_measures
from bench.options import QUICK, Options
from bench.peer import Peer, all_peers
from bench.redis_server import RedisServer
from bench.stand import Stand

RESULTS = FIGURES / "beside-peers.md"
BUSY_LOAD = 0.5
"""Above this load before the run the page says that others were at work."""


def parser() -> argparse.ArgumentParser:
    """The options; each size has one of its own."""
    measures = all_measures()
    listed = ", ".join(f"{name} (only when named)" if m.optional else name for name, m in measures.items())
    reader = argparse.ArgumentParser(
        prog="bench/run",
        description="Runs jobfleet and its peers side by side, on a Redis of its own on the loopback, and prints "
        f"medians, spread and ratios. Measures: {listed}.",
    )
    reader.add_argument("--peer", action="append", choices=list(all_peers()), help="only this peer; may repeat [all]")
    reader.add_argument("--measure", action="append", choices=list(measures), help="only this measure; may repeat")
    reader.add_argument("--quick", action="store_true", help="a smoke run: one round of small sizes")
    reader.add_argument(
        "--output", type=Path, help="the page to write [docs/figures/beside-peers.md if all is measured, else none]"
    )
    for field in dataclasses.fields(Options):
        kind = int if isinstance(getattr(QUICK, field.name), int) else float
        reader.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=kind,
            metavar="N",
            help=f"[{field.default}; quick: {getattr(QUICK, field.name)}]",
        )
    return reader


def sizes(said: argparse.Namespace) -> Options:
    """The sizes that the command line asks for."""
    base = QUICK if said.quick else Options()
    given = {field.name: getattr(said, field.name) for field in dataclasses.fields(Options)}
    return dataclasses.replace(base, **{name: value for name, value in given.items() if value is not None})


def install(peers: list[Peer]) -> list[Peer]:
    """Those peers that could be installed."""
    usable = []
    for peer in peers:
        try:
            if environments.install(peer):
                say(f"installed {peer.name} {peer.version}")
            usable.append(peer)
        except environments.NotInstalled as error:
            say(f"{peer.name} is left out: {error}")
    return usable


def conditions(server: RedisServer, options: Options, load: float) -> dict[str, str]:
    """Under which conditions the figures came about."""
    facts = {
        "Date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "Machine": machine.description(),
        "Versions": f"Redis {server.version()} without persistence on the loopback, "
        f"Python {platform.python_version()}, Node {machine.node_version() or 'missing'}",
        "Method": f"{options.rounds} rounds in which the peers take turns, about {options.seconds:g} s each, "
        "one worker process; the arguments of a job are 64 bytes as JSON; every job is counted, and what does not "
        "add up is not printed",
    }
    if load > BUSY_LOAD:
        facts["Mind"] = f"the machine was not idle before the run (load {load:.1f})"
    return facts


def main() -> int:
    """Measure; 0 if every peer could do all that it was asked."""
    said = parser().parse_args()
    options = sizes(said)
    known, measures = all_peers(), all_measures()
    peers = install([peer for key, peer in known.items() if not said.peer or key in said.peer])
    chosen = [m for name, m in measures.items() if (name in said.measure if said.measure else not m.optional)]
    begun, load = time.monotonic(), machine.load()
    results: list[rounds.Result] = []
    with tempfile.TemporaryDirectory(prefix="jobfleet-bench-") as folder, RedisServer(Path(folder)) as server:
        stand = Stand(server, Path(folder), options)
        facts = conditions(server, options, load)
        results += [rounds.run(measure, peers, stand, say) for measure in chosen]
    facts["Took"] = f"{(time.monotonic() - begun) / 60:.0f} minutes" + (" (--quick: a smoke run)" if said.quick else "")
    page = table.page(results, {peer.key: peer for peer in peers}, facts)
    whole = not (said.peer or said.measure or said.quick)
    deliver(page, said.output or (RESULTS if whole else None))
    return 1 if any(result.failures for result in results) else 0


if __name__ == "__main__":
    run(main, Broken)
