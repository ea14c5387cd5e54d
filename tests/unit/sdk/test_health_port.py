"""Where a worker's probes are answered."""

from __future__ import annotations

import socket
import urllib.request

import pytest

from cluster_tool import ports
from jobfleet.worker.health import Health


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_probes_are_answered_on_addresses_of_both_kinds(host: str) -> None:
    if host == "[::1]" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    (port,) = ports.free_ports(1)
    health = Health(port, [], 60)
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/livez", timeout=5) as answer:
            assert answer.status == 200
    finally:
        health.stop()


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
