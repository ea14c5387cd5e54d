"""Processes are started and ended by pid, and only they."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cluster_tool import processes
from cluster_tool.errors import ClusterToolError
from cluster_tool.processes import ProcessId

PATIENT = "import signal; signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


def start(folder: Path, program: str) -> ProcessId:
    return processes.start([sys.executable, "-c", program], log=folder / "log", pid_file=folder / "pid")


def test_a_process_is_ended_by_its_file_and_ending_it_twice_is_fine(tmp_path: Path) -> None:
    process = start(tmp_path, PATIENT)
    assert process.alive
    assert ProcessId.read(tmp_path / "pid") == process
    processes.end_by_file(tmp_path / "pid")
    assert not process.alive
    assert not (tmp_path / "pid").exists()
    processes.end_by_file(tmp_path / "pid")


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path, DEAF)
    assert processes.wait_until(lambda: "deaf" in processes.tail(tmp_path / "log"), 10)
    processes.end(process, grace=0.2)
    assert not process.alive


def test_a_pid_that_belongs_to_another_process_by_now_is_not_signalled(tmp_path: Path) -> None:
    process = start(tmp_path, PATIENT)
    try:
        ProcessId(process.pid, "another time").write(tmp_path / "pid")
        processes.end_by_file(tmp_path / "pid", grace=0.2)
        assert process.alive
    finally:
        processes.end(process)


def test_a_pid_file_without_sense_is_no_process(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("sense\n")
    assert ProcessId.read(tmp_path / "pid") is None
    assert ProcessId.read(tmp_path / "none") is None


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterToolError, match="/no/such/program"):
        processes.start(["/no/such/program"], log=tmp_path / "log")


def test_waiting_ends_at_its_deadline() -> None:
    assert not processes.wait_until(lambda: False, 0.1)
