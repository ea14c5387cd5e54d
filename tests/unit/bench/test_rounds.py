from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from bench.children import Broken, Child, until
from bench.figures import Better, Figure
from bench.measure import Measure
from bench.options import Options
from bench.peer import Peer, all_peers
from bench.peers.tally import Tally
from bench.rounds import run
from bench.stand import Stand
from bench.table import page, section


class Bare:
    """As much of a stand as the rounds look at."""

    options = Options(rounds=3)


class Scripted(Measure):
    """Gives figures from a table and notes who was asked when."""

    name = "scripted"
    title = "Scripted"
    about = "For tests."
    figures = (Figure("rate", "jobs/s", Better.MORE, compared=True),)

    def __init__(self, rates: dict[str, list[float]]) -> None:
        self.rates = rates
        self.asked: list[str] = []

    def able(self, peer: Peer) -> bool:
        return peer.key in self.rates

    def round(self, stand: Stand, peer: Peer, size: int) -> dict[str, float]:
        self.asked.append(peer.key)
        if not (left := self.rates[peer.key]):
            raise Broken("5 jobs were enqueued and 4 wait\nTraceback\nKeyError: 5")
        return {"rate": left.pop(0)}


def go(measure: Measure) -> list[str]:
    peers = all_peers()
    result = run(measure, list(peers.values()), cast("Stand", Bare()), lambda _: None)
    return section(result, peers)


def test_peers_take_turns_round_after_round() -> None:
    measure = Scripted({"jobfleet": [1.0] * 3, "arq": [1.0] * 3, "huey": [1.0] * 3})
    go(measure)
    assert measure.asked == ["jobfleet", "arq", "huey"] * 3


def test_the_table_shows_median_spread_and_ratio() -> None:
    lines = go(Scripted({"jobfleet": [300.0, 100.0, 200.0], "huey": [40.0, 50.0, 60.0]}))
    assert "| jobfleet | 200 (100-300) |  |" in lines
    assert "| huey | 50.0 (40.0-60.0) | 4.00 x |" in lines


def test_a_peer_whose_count_is_wrong_once_has_no_figures_and_a_reason() -> None:
    measure = Scripted({"jobfleet": [1.0] * 3, "huey": [50.0]})
    lines = go(measure)
    assert not any(line.startswith("| huey") for line in lines)
    assert "huey has no figures here: 5 jobs were enqueued and 4 wait (KeyError: 5)." in lines
    assert measure.asked.count("huey") == 2, "it is not asked again"


def test_the_page_names_every_peer_with_its_version_and_setting() -> None:
    peers = all_peers()
    text = page([], peers, {"Date": "today"})
    assert "- Date: today" in text
    for peer in peers.values():
        version = peer.version or "this repository's"
        assert f"| {peer.name} | {version} | {peer.delivery} | {peer.setting} |" in text


def test_a_tally_tells_missing_and_repeated_jobs(tmp_path: Path) -> None:
    with Tally.create(tmp_path / "tally", 4) as written, Tally(tmp_path / "tally", 4) as seen:
        assert (seen.missing(), seen.repeated(), seen.seconds()) == (4, 0, 0.0)
        written.mark(0)
        written.begin(2)
        written.begin(2)
        written.mark(2)
        assert (seen.missing(), seen.done(), seen.repeated()) == (2, 2, 1)
        assert seen.seconds() > 0


def test_a_process_that_ends_early_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child(["sh", "-c", "echo out of luck >&2; exit 3"], tmp_path / "log", {})
    with pytest.raises(Broken, match="the process ended\nout of luck"):
        until(lambda: False, 10, "waiting", child)
    assert child.exit_code == 3
    child.end()


def test_a_child_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    child = Child(["sh", "-c", "sleep 600 & sleep 600"], tmp_path / "log", {})
    until(lambda: len(child.family()) == 3, 10, "it starts two more", child)
    assert child.rss_bytes() > 0
    child.end()
    child.end()
    until(lambda: child.family() == [child.pid], 10, "they end")


def test_a_tally_tells_what_a_killed_worker_left_behind(tmp_path: Path) -> None:
    with Tally.create(tmp_path / "tally", 3) as tally:
        for n in range(3):
            tally.begin(n)
        tally.mark(1)
        assert tally.running() == 2
