"""What the package offers is one sorted list, and only it is meant to be imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

import jobfleet


def test_the_public_names_are_sorted_and_exist() -> None:
    assert jobfleet.__all__ == sorted(jobfleet.__all__)
    assert all(hasattr(jobfleet, name) for name in jobfleet.__all__)
    assert len(set(jobfleet.__all__)) == len(jobfleet.__all__)


def imported_with(statement: str) -> set[str]:
    """The modules that a statement brings into a fresh interpreter."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_the_plain_sdk_imports_little() -> None:
    modules = imported_with("from jobfleet import Fleet, JobQueueCoordinator; Fleet()")
    others = {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names)
    assert others <= {"jobfleet", "msgspec", "typing_extensions"}  # the last is msgspec's
    assert not {"http.server", "importlib.metadata", "jobfleet.worker.lane"} & modules
    assert len(modules) <= 210


def test_a_worker_is_imported_when_it_is_asked_for() -> None:
    assert "jobfleet.worker.lane" in imported_with("from jobfleet import Worker")
    with pytest.raises(AttributeError, match="module 'jobfleet' has no attribute 'Wroker'"):
        jobfleet.Wroker  # noqa: B018


def test_the_folder_operator_is_no_package() -> None:
    import operator

    assert hasattr(operator, "itemgetter")
