"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "jobfleet.clients.patience",
        "jobfleet.coalescing",
        "jobfleet.flows",
        "jobfleet.inspection",
        "jobfleet.plain",
        "jobfleet.policy",
        "jobfleet.queues",
        "jobfleet.retry",
        "jobfleet.worker.fingerprint",
        "jobfleet.worker.exchanges",
        "jobfleet.worker.orphans",
        "jobfleet.worker.settings",
        "jobfleet.worker.verdict",
    ],
)
def test_examples(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0
