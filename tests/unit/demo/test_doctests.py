"""The examples in the demo's docstrings are true."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest
from photo_demo import console, kubectl, pod_watch, times, verdict


@pytest.mark.parametrize("module", [console, kubectl, pod_watch, times, verdict], ids=lambda module: module.__name__)
def test_examples(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
