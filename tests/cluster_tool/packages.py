"""Programs of the system: who lacks one gets the command that installs it; root on Debian gets it installed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from . import commands
from .errors import ClusterToolError, MissingPartError
from .progress import say, step

DEBIAN_PACKAGES = {
    "buildah": ("buildah",),
    "containerd": ("containerd",),
    "ctr": ("containerd",),
    "debootstrap": ("debootstrap", "debian-archive-keyring"),
    "docker": ("docker.io",),
    "dockerd": ("docker.io", "iptables"),
    "go": ("golang-go",),
    "iptables": ("iptables",),
    "redis-server": ("redis-server",),
    "runc": ("runc",),
}
"""Program → the Debian packages that bring it."""


def may_install() -> bool:
    """Whether the tool installs by itself: as root, on Debian or what descends from it."""
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and commands.find("apt-get") is not None


def install_command(programs: Iterable[str]) -> list[str]:
    """The command that installs programs on Debian."""
    names = sorted({name for program in programs for name in DEBIAN_PACKAGES.get(program, (program,))})
    return ["apt-get", "install", "-y", "--no-install-recommends", *names]


def need(*programs: str) -> None:
    """Makes sure that programs are there.

    Raises:
        MissingPartError: some are missing and this user cannot install them.
    """
    missing = [program for program in programs if commands.find(program) is None]
    if not missing:
        return
    command = install_command(missing)
    if not may_install():
        raise MissingPartError(" and ".join(missing), shlex.join(["sudo", *command]))
    install(command)
    if still := [program for program in missing if commands.find(program) is None]:
        raise MissingPartError(" and ".join(still), shlex.join(command))


def install(command: list[str]) -> None:
    """Runs an apt-get command, after an update where the lists are missing or old."""
    say(f"this machine lacks a part, and you are root on Debian: {shlex.join(command)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with step("install Debian packages"):
        try:
            commands.run(command, environment=quiet)
        except ClusterToolError:
            commands.run(["apt-get", "update", "-q"], environment=quiet)
            commands.run(command, environment=quiet)
