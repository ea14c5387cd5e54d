"""What the package offers is one sorted list, and only it is meant to be imported."""

from __future__ import annotations

import subprocess
import sys

import jobfleet


def test_the_public_names_are_sorted_and_exist() -> None:
    assert jobfleet.__all__ == sorted(jobfleet.__all__)
    assert all(hasattr(jobfleet, name) for name in jobfleet.__all__)
    assert len(set(jobfleet.__all__)) == len(jobfleet.__all__)


def test_the_plain_sdk_imports_neither_kubernetes_nor_pydantic() -> None:
    heavy = ("kubernetes", "kopf", "pydantic", "jobfleet_operator")
    code = f"import sys, jobfleet; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_folder_operator_is_no_package() -> None:
    import operator

    assert hasattr(operator, "itemgetter")
