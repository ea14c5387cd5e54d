"""What the documents show of the SDK is there, with the arguments and types that they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [
    page
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
    if BLOCK.search(page.read_text())
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_of_a_page_passes_the_type_checker(page: Path, tmp_path: Path) -> None:
    """All blocks of a page together, in order: what one defines, the next may use."""
    code = tmp_path / "page.py"
    code.write_text("\n".join(BLOCK.findall(page.read_text())))
    told, trouble, exit_code = api.run(
        ["--config-file", str(ROOT / "pyproject.toml"), "--disable-error-code", "top-level-await",
         "--disable-error-code", "empty-body", "--cache-dir", str(ROOT / ".mypy_cache"), str(code)]
    )  # fmt: skip
    assert exit_code == 0, told + trouble
