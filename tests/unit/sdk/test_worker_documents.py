"""The examples of the page for those who write handlers are good code: they run, one after the other."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).parents[3] / "docs/how-to/write-handlers.md"


def test_every_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 5
    module = ModuleType("handlers_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks:
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), module.__dict__)
    queues = module.__dict__["fleet"].registry.queues()
    assert queues == ("mail", "photos", "search")
