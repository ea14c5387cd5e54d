"""The examples in the operator's docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import jobfleet_operator

MODULES = [
    module.name
    for module in pkgutil.walk_packages(jobfleet_operator.__path__, "jobfleet_operator.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
