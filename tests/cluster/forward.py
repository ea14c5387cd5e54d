"""A way from the test to a Service in the cluster: `kubectl port-forward`, ended by pid."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator

import pytest
from photo_demo.kubectl import Kubectl


@contextlib.contextmanager
def forwarded(kubectl: Kubectl, service: str, port: int) -> Iterator[int]:
    """Yield a port of this machine behind which the Service answers."""
    command = kubectl.command("port-forward", f"service/{service}", f":{port}")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        if not found:
            pytest.fail(f"port-forward to {service} failed: {line}")
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate(timeout=10)
