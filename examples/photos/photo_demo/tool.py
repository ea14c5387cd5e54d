"""The project's cluster tool, called as the command line that it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from photo_demo.errors import DemoError

REPOSITORY = Path(__file__).parents[3]


def tool(*words: str) -> str:
    """Run `cluster_tool WORDS` and return its answer; its progress goes to the terminal. DemoError when it fails."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "tests")}
    command = [sys.executable, "-m", "cluster_tool", *words]
    done = subprocess.run(  # noqa: S603 - the words are ours
        command, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise DemoError(f"The cluster tool could not do `{' '.join(words)}`; its last lines above say why.")
    return done.stdout.strip()
