"""Kernel limits are raised for a private engine and put back after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster_tool import kernel_limits

INSTANCES, WATCHES = "fs/inotify/max_user_instances", "fs/inotify/max_user_watches"


@pytest.fixture
def system(tmp_path: Path) -> Path:
    (tmp_path / "fs" / "inotify").mkdir(parents=True)
    (tmp_path / INSTANCES).write_text("128\n")
    (tmp_path / WATCHES).write_text("1000000\n")
    return tmp_path


def test_a_limit_that_is_too_low_is_raised_and_put_back(tmp_path: Path, system: Path) -> None:
    record = tmp_path / "before"
    kernel_limits.raise_to_wanted(record, system)
    assert int((system / INSTANCES).read_text()) == kernel_limits.WANTED[INSTANCES]
    kernel_limits.put_back(record, system)
    assert int((system / INSTANCES).read_text()) == 128
    assert not record.exists()


def test_a_limit_that_is_high_enough_stays(tmp_path: Path, system: Path) -> None:
    kernel_limits.raise_to_wanted(tmp_path / "before", system)
    assert int((system / WATCHES).read_text()) == 1000000


def test_putting_back_without_a_record_does_nothing(tmp_path: Path, system: Path) -> None:
    kernel_limits.put_back(tmp_path / "none", system)
    assert int((system / INSTANCES).read_text()) == 128


def test_a_system_without_such_limits_is_left_alone(tmp_path: Path) -> None:
    kernel_limits.raise_to_wanted(tmp_path / "before", tmp_path / "empty")
    assert not (tmp_path / "empty").exists()
