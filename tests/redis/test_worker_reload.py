"""``jobfleet worker --reload``: a change of the code is in the next job."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.workers import QUEUE, ended, until
from jobfleet import Fleet

CODE = """
from jobfleet import Fleet
fleet = Fleet.from_env()

@fleet.job(queue="photos")
async def version() -> str:
    return {version!r}
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "jobs.py").write_text(CODE.format(version="first"))
    return folder


@pytest.fixture
def worker(package: Path, redis_url: str) -> Iterator[subprocess.Popen[bytes]]:
    worker = subprocess.Popen(
        [sys.executable, "-B", "-m", "jobfleet", "worker", "shop.jobs:fleet", "--reload"],
        cwd=package.parent,
        env={**os.environ, "JOBFLEET_REDIS_URL": redis_url, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    yield worker
    worker.terminate()
    assert worker.wait(20) == 0


async def test_a_change_starts_the_worker_again(redis_url: str, package: Path, worker: object) -> None:
    async with Fleet(redis_url) as fleet:
        assert (await ended(fleet, await fleet.enqueue(QUEUE, "version", {}))).result == "first"
        (package / "jobs.py").write_text(CODE.format(version="second"))
        while (await ended(fleet, await fleet.enqueue(QUEUE, "version", {}))).result != "second":
            pass


async def test_a_broken_file_waits_for_its_mending(redis_url: str, package: Path, worker: object) -> None:
    async with Fleet(redis_url) as fleet:
        await ended(fleet, await fleet.enqueue(QUEUE, "version", {}))
        (package / "jobs.py").write_text("this is no Python\n")

        async def nobody() -> bool:
            return not (await fleet.status(QUEUE)).workers

        await until(nobody)
        (package / "jobs.py").write_text(CODE.format(version="mended"))
        assert (await ended(fleet, await fleet.enqueue(QUEUE, "version", {}))).result == "mended"


def test_what_is_watched_is_the_package_of_the_target(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobfleet.reload import stamps, watched

    monkeypatch.syspath_prepend(str(package.parent))
    assert watched("shop.jobs") == [package]
    assert set(stamps([package])) == {package / "__init__.py", package / "jobs.py"}
    assert watched("no_such_module") == []
