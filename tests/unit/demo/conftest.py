"""Puts the demo on the import path."""

from __future__ import annotations

import sys
from pathlib import Path

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "photos")
if EXAMPLE not in sys.path:
    sys.path.insert(0, EXAMPLE)
