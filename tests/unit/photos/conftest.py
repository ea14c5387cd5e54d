"""Puts the example on the import path, and starts its store for real."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "photos")
if EXAMPLE not in sys.path:
    sys.path.insert(0, EXAMPLE)

pytest.importorskip("PIL", reason="Pillow is missing; install it with: pip install pillow")

from photos.shelf import Shelf  # noqa: E402 - after the path
from photos.store import Store  # noqa: E402
from photos.store_client import StoreClient  # noqa: E402


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture
def store(shelf: Shelf) -> Iterator[StoreClient]:
    server = Store(("127.0.0.1", 0), shelf)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield StoreClient(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
