"""Limits of the kernel that several nodes on one machine run into: raised while a private engine runs, then put back.

Every node's systemd, containerd and kubelet watch files; with the usual 128 watchers a user, the seventh node does not
start, and says no more than that a deadline passed.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

SYSTEM = Path("/proc/sys")
WANTED = {"fs/inotify/max_user_instances": 1024, "fs/inotify/max_user_watches": 524288}
"""Setting → the least value that is enough for a dozen nodes."""


def raise_to_wanted(record: Path, system: Path = SYSTEM) -> None:
    """Raises what is too low, as far as this user may, and keeps the values from before in `record`."""
    before = {}
    for name, wanted in WANTED.items():
        file = system / name
        with contextlib.suppress(OSError):  # without the right to, the nodes have to do with what there is
            value = int(file.read_text())
            if value < wanted:
                file.write_text(f"{wanted}\n")
                before[name] = value
    record.write_text(json.dumps(before))


def put_back(record: Path, system: Path = SYSTEM) -> None:
    """Puts back the values that `record` holds; without a record nothing happens."""
    if not record.exists():
        return
    for name, value in json.loads(record.read_text()).items():
        with contextlib.suppress(OSError):
            (system / name).write_text(f"{value}\n")
    record.unlink()
