"""Mounts below a folder: they must go before the folder can."""

from __future__ import annotations

import contextlib
from pathlib import Path

from . import commands
from .errors import ClusterToolError

TABLE = Path("/proc/self/mounts")


def below(*folders: Path, table: str | None = None) -> list[str]:
    """The mount points in some folders, the innermost first.

    >>> below(Path("/a"), table="proc /a/b proc rw 0 0\\nsysfs /a/b/c sysfs rw 0 0\\ntmpfs /ab tmpfs rw 0 0\\n")
    ['/a/b/c', '/a/b']
    """
    if table is None:
        table = TABLE.read_text() if TABLE.exists() else ""
    points = {line.split()[1] for line in table.splitlines()}
    return sorted((point for point in points for folder in folders if Path(point).is_relative_to(folder)), reverse=True)


def release(*folders: Path) -> None:
    """Unmounts what is mounted in some folders; what cannot be unmounted stays."""
    for point in below(*folders):
        with contextlib.suppress(ClusterToolError):
            commands.run(["umount", "--lazy", point])
