"""Fixtures for every test, and the order of the suites: what needs a cluster runs last."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["fixtures.redis_server", "fixtures.api_server", "fixtures.kind_cluster", "fixtures.chart"]

SUITES = ("unit", "redis", "api", "cluster", "chaos")
"""Folders of tests by cost, cheapest first."""


def cost(path: Path) -> int:
    """The place of a test file in the order of the suites."""
    parts = path.relative_to(Path(__file__).parent).parts
    return SUITES.index(parts[0]) if parts[0] in SUITES else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the suites by cost; inside a suite the order stays."""
    items.sort(key=lambda item: cost(item.path))
