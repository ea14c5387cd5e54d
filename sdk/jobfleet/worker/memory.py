"""How much memory this process takes."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")


def resident_mb() -> int:
    """The resident set in MiB; where the system does not tell (outside of Linux), the most it has ever been."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // (1 << 20) if sys.platform == "darwin" else most // 1024
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20
