"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import jobfleet


def with_examples() -> list[str]:
    """The modules whose docstrings have some."""
    modules = pkgutil.walk_packages(jobfleet.__path__, "jobfleet.")
    home = Path(jobfleet.__path__[0]).parent
    places = {found.name: home.joinpath(*found.name.split(".")) for found in modules if not found.ispkg}
    return [name for name, place in places.items() if "\n    >>> " in place.with_suffix(".py").read_text()]


@pytest.mark.parametrize("module", with_examples())
def test_examples(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


def test_there_are_examples() -> None:
    assert len(with_examples()) >= 13
