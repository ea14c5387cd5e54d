"""TLS to a Redis whose authority nobody knows: it comes with the URL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from cluster_tool import ports, processes
from fixtures.certificates import Authority
from fixtures.redis_server import PROGRAMS
from fixtures.requirement import lacking
from jobfleet import Fleet
from jobfleet.inspection import InspectionError, Inspector, QueueAddress

PASSWORD = "let-me-in"


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A Redis with TLS and a password, for the name `localhost` only; its port, and its authority as in a URL."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        lacking("redis-server is missing; install it with: apt-get install redis-server (or: brew install redis)")
    authority = Authority()
    pair = authority.issue("localhost")
    (tmp_path / "tls.crt").write_text(pair.certificate)
    (tmp_path / "tls.key").write_text(pair.key)
    (port,) = ports.free_ports(1)
    options = f"--port 0 --tls-port {port} --tls-auth-clients no --tls-cert-file tls.crt --tls-key-file tls.key"
    log = tmp_path / "redis.log"
    command = [program, "--dir", str(tmp_path), *options.split(), "--save", "", "--requirepass", PASSWORD]
    server = processes.start(command, log=log)
    try:
        if not processes.wait_until(lambda: log.exists() and "Ready to accept" in log.read_text(), 10.0):
            pytest.fail(f"redis-server does not start:\n{processes.tail(log)}")
        yield port, quote(authority.pem, safe="")
    finally:
        processes.end(server)


async def test_the_authority_in_the_url_is_trusted_and_nothing_else(tls_port: tuple[int, str]) -> None:
    port, authority = tls_port
    place = QueueAddress("shop", "photos")

    async def ask(url: str) -> str:
        """How the operator reads it; "" when it can, else what it says."""
        inspector = Inspector(url)
        try:
            return "" if await inspector.snapshots([place]) else "nothing"
        except InspectionError as error:
            return str(error)
        finally:
            await inspector.close()

    good = f"rediss://:{PASSWORD}@localhost:{port}/0?ssl_ca_data={authority}"
    fleet = Fleet(good, realm="shop")
    try:
        await fleet.enqueue("photos", "nap", {})
        assert (await fleet.status("photos")).waiting == 1
    finally:
        await fleet.close()
    assert await ask(good) == ""
    assert "CERTIFICATE_VERIFY_FAILED" in await ask(good.partition("?")[0])
    stranger = quote(Authority("another").pem, safe="")
    assert "CERTIFICATE_VERIFY_FAILED" in await ask(good.replace(authority, stranger))
    assert "certificate is not valid for '127.0.0.1'" in await ask(good.replace("localhost", "127.0.0.1"))
    assert "asks for a password: put it into the URL" in await ask(good.replace(f":{PASSWORD}@", ""))
    said = await ask(good.replace(PASSWORD, "not-this"))
    assert "password" in said
    assert "not-this" not in said
    assert "BEGIN" not in said
