"""``jobfleet job``, for a person and for a program; ``status`` and ``mend``."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial

import pytest

from fixtures.workers import QUEUE, ended, working
from jobfleet import Backoff, Fleet, cli, current_job

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
async def fleet(redis_url: str) -> AsyncIterator[Fleet]:
    async with Fleet(redis_url) as fleet:
        yield fleet


@pytest.fixture
def jobfleet(redis_url: str) -> Run:
    """Runs ``jobfleet`` with arguments and further variables of the environment."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jobfleet", *arguments]
        env = {**os.environ, "JOBFLEET_REDIS_URL": redis_url, "PYTHONIOENCODING": "utf-8", **variables}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)

    return run


@pytest.fixture
def show(jobfleet: Run) -> Run:
    """As ``jobfleet``, for ``jobfleet job``."""
    return partial(jobfleet, "job")


async def developed(fleet: Fleet, at: datetime) -> str:
    """The id of a job that failed once, told what it does, and completed."""

    @fleet.job(queue=QUEUE, attempts=5, backoff=Backoff(seconds=0.01), metadata={"album": "1"})
    async def develop(photo: str, at: datetime) -> dict[str, bytes]:
        job = current_job()
        job.progress(40)
        for n in range(30):
            job.log(f"bath {n} \x1b[31mred")
        if job.attempt == 1:
            raise OSError("no \x1b[2Jwater")
        return {"print": b"\x00\x01"}

    async with working(fleet, name="pod-1"):
        job_id = await develop.options(priority=3, group="studio").enqueue("lake", at)
        await ended(fleet, job_id)
    return job_id


async def test_a_job_is_shown_to_a_person(fleet: Fleet, show: Run) -> None:
    job_id = await developed(fleet, datetime(2026, 1, 2, tzinfo=UTC))
    shown = show(job_id, "--queue", QUEUE, "--log", "2")
    assert (shown.returncode, shown.stderr) == (0, "")
    text = shown.stdout
    for part in (
        f"job       {job_id}, develop in queue photos\n",
        "state     completed\n",
        "priority  3, group studio\n",
        "attempts  2 begun; 1 of 5 failed\n",
        'metadata  {"album":"1"}\n',
        'args      {"photo":"lake","at":"2026-01-02T00:00:00Z"}\n',
        "progress  40 %\n",
        "attempt 1 on worker pod-1.",
        ": OSError (retryable): no \\x1b[2Jwater\n",
        'raise OSError("no',
        "log       lines 59 to 60 of 60\n",
        "attempt 2  bath 29 \\x1b[31mred\n",
    ):
        assert part in text
    assert "\x1b" not in text


async def test_a_job_is_shown_to_a_program(fleet: Fleet, show: Run) -> None:
    job_id = await developed(fleet, datetime(2026, 1, 2, tzinfo=UTC))
    shown = show(job_id, "--json", JOBFLEET_QUEUES=QUEUE)
    told = json.loads(shown.stdout)
    assert (told["id"], told["state"], told["attempt"], told["progress"]) == (job_id, "completed", 2, 40)
    assert told["args"] == {"photo": "lake", "at": "2026-01-02T00:00:00Z"}
    assert told["result"] == {"print": "AAE="}
    assert told["history"][0]["kind"] == "OSError"
    assert told["history"][0]["final"] is False
    assert told["enqueued_ms"] <= told["history"][0]["at_ms"] <= told["ended_ms"]
    assert (told["log"]["total"], told["log"]["first"], len(told["log"]["lines"])) == (60, 40, 20)
    assert told["log"]["lines"][-1]["attempt"] == 2


def test_what_cannot_be_shown_is_said(show: Run, redis_url: str) -> None:
    unknown = show("nobody", "--queue", QUEUE)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "jobfleet: queue 'photos' has no job 'nobody', or no longer\n"
    nowhere = show("nobody")
    assert (nowhere.returncode, nowhere.stderr) == (
        2, "jobfleet: name the job's queue, as in 'jobfleet job nobody --queue photos'\n",
    )  # fmt: skip
    assert show("nobody", "--queue", QUEUE, "--log", "-1").returncode == 2


async def test_a_sealed_job_is_shown_to_who_has_the_key_in_the_environment(
    fleet: Fleet, redis_url: str, show: Run
) -> None:
    keys = "now:" + base64.b64encode(bytes(range(32))).decode()
    async with Fleet.from_env({"JOBFLEET_REDIS_URL": redis_url, "JOBFLEET_KEYS": keys}) as secretive:
        job_id = await secretive.enqueue(QUEUE, "develop", {"photo": "lake"})
    assert "develop" not in show(job_id, "--queue", QUEUE).stdout
    shown = show(job_id, "--queue", QUEUE, JOBFLEET_KEYS=keys)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert 'args      {"photo":"lake"}\n' in shown.stdout
    wrong = show(job_id, "--queue", QUEUE, JOBFLEET_KEYS="now:c2VjcmV0")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "JOBFLEET_KEYS" in wrong.stderr
    assert "c2VjcmV0" not in wrong.stderr


async def test_status_without_names_shows_every_queue_of_the_realm(fleet: Fleet, jobfleet: Run) -> None:
    assert len(jobfleet("status").stdout.splitlines()) == 1
    for queue in ("photos", "mail"):
        await fleet.enqueue(queue, "job", {})
    async with Fleet(fleet.redis_url, realm="others") as others:
        await others.enqueue("secret", "job", {})
    shown = jobfleet("status")
    assert (shown.returncode, [line.split()[:2] for line in shown.stdout.splitlines()[1:]]) == (
        0, [["mail", "1"], ["photos", "1"]],
    )  # fmt: skip


async def test_what_went_astray_is_put_back(fleet: Fleet, jobfleet: Run) -> None:
    await fleet.enqueue(QUEUE, "job", {})
    await fleet.client()._redis.delete(f"jf:{{default/{QUEUE}}}:wait:5")
    assert jobfleet("mend", QUEUE).stdout == "1 jobs put back\n"
    assert jobfleet("mend", QUEUE).stdout == "no job has gone astray\n"


def test_output_that_nobody_reads_or_takes_is_no_traceback(redis_url: str) -> None:
    def complaint(*command: str, stdout: int) -> tuple[int, str]:
        command = (*command, sys.executable, "-m", "jobfleet", "status")
        env = {**os.environ, "JOBFLEET_REDIS_URL": redis_url}
        ended = subprocess.run(
            command, env=env, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
        os.close(stdout)
        return ended.returncode, ended.stderr

    reader, writer = os.pipe()
    os.close(reader)
    assert complaint(stdout=writer) == (141, "")
    full, closed = "No space left on device", "it is closed"
    for command, device, why in (((), "/dev/full", full), (("sh", "-c", '"$@" >&-', "sh"), "/dev/null", closed)):
        told = complaint(*command, stdout=os.open(device, os.O_WRONLY))
        assert told == (1, f"jobfleet: the output cannot be written: {why}\n")


def test_what_the_command_line_cannot_use_is_named(show: Run) -> None:
    odd = show("a\udcff", "--queue", QUEUE)
    assert (odd.returncode, "must be the id of a job" in odd.stderr, "Traceback" in odd.stderr) == (2, True, False)
    long = show("a", "--queue", QUEUE, "--log", "99999999999")
    assert (long.returncode, long.stderr[:41]) == (2, "jobfleet: --log: 99999999999 must be 0 to")


@pytest.mark.parametrize("arguments", [["worker", "shop:fleet", "--rel"], ["status", "--js"]])
def test_no_option_is_abbreviated(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):  # what --rel starts would reload again, without end
        cli._parser().parse_args(arguments)
