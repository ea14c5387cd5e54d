"""`make setup` leaves nothing running, as the first page says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLAIN = ("dirname", "cat", "cksum")
DEBIAN = Path("/etc/debian_version").exists()
INSTALL = "apt-get install -y -qq --no-install-recommends redis-server"
STOP = "systemctl disable --now redis-server"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A clone whose .venv is there already, on a machine where root's programs only write down how they were called."""
    for name in ("scripts", "machine", ".venv/bin"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup", tmp_path / "scripts")
    for name in ("pyproject.toml", "requirements-dev.lock"):
        (tmp_path / name).touch()
    for name in PLAIN:
        (tmp_path / "machine" / name).symlink_to(str(shutil.which(name)))
    pretend(tmp_path, "machine/python3", "machine/systemctl", "machine/apt-get", ".venv/bin/python")
    pretend(tmp_path, "machine/id", does="echo 0")
    return tmp_path


def pretend(place: Path, *programs: str, does: str = "") -> None:
    for name in programs:
        file = place / name
        file.write_text(f'#!/bin/sh\n[ {file.name} = id ] || echo "{file.name} $*" >>{place}/told\n{does}\n')
        file.chmod(0o755)


def set_up(place: Path) -> list[str]:
    """What root's programs were called with."""
    environment = {"PATH": str(place / "machine")}
    subprocess.run([place / "scripts" / "setup"], env=environment, capture_output=True, timeout=60, check=True)
    told = (place / "told").read_text().splitlines()
    return [line for line in told if line.startswith(("apt-get", "systemctl"))]


@pytest.mark.skipif(not DEBIAN, reason="it installs nothing here: this is no Debian")
def test_the_redis_that_it_installs_is_stopped_and_does_not_start_again(place: Path) -> None:
    assert set_up(place) == [INSTALL, STOP]


@pytest.mark.skipif(not DEBIAN, reason="it installs nothing here: this is no Debian")
def test_a_machine_without_systemd_is_set_up_as_well(place: Path) -> None:
    pretend(place, "machine/systemctl", does="exit 1")
    assert set_up(place) == [INSTALL, STOP]


def test_a_redis_that_was_there_is_left_alone(place: Path) -> None:
    pretend(place, "machine/redis-server")
    assert set_up(place) == []
