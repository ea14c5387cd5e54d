"""Who did what to a queue: each verb leaves its entry, in the call that acts, and nothing else leaves one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable

import pytest

import redis
from fixtures.verbs import QUEUE, REALM, Queue, new
from jobfleet import (
    AuditEntry,
    FailureFilter,
    Fleet,
    InvalidJob,
    JobQueueCoordinator,
    Limits,
    State,
    SyncJobQueueCoordinator,
    audit,
    flows,
)
from jobfleet.audit import Author
from jobfleet.codec import pack_failure, pack_group
from jobfleet.coordinator import SimpleConfig
from jobfleet.dead_letters import carry
from jobfleet.inspection import Inspector, QueueAddress, QueueSettings
from jobfleet.job import Failure
from jobfleet.scripts import steering
from jobfleet.scripts.processing import Outcome

ANN = "ann@desk"
PLACE = QueueAddress(REALM, QUEUE)
KEY = f"jf:{{{REALM}/{QUEUE}}}:audit"
BYTES_AN_ENTRY = 100
"""Of a common one, in Redis."""
MOST_BYTES_AN_ENTRY = 2_200
"""Of one with the longest texts."""

Row = tuple[str, str, int, str, str]


@pytest.fixture
async def fleet(redis_url: str) -> AsyncIterator[Fleet]:
    async with Fleet(redis_url, realm=REALM, actor=ANN) as fleet:
        yield fleet


@pytest.fixture
async def operator(redis_url: str) -> AsyncIterator[Inspector]:
    inspector = Inspector(redis_url, "operator/pod-1")
    yield inspector
    await inspector.close()


def row(entry: AuditEntry) -> Row:
    return entry.who, entry.verb, entry.count, entry.what, entry.why


async def rows(fleet: Fleet, newest: int = 100) -> list[Row]:
    """The entries without their times, the oldest first."""
    return [row(entry) for entry in reversed(await fleet.queue(QUEUE).audit(newest))]


async def failed(queue: Queue, *ids: str) -> None:
    """Jobs that failed for good."""
    await queue.enqueue(*map(new, ids))
    assert await queue.claim(len(ids)) == list(ids)
    error = pack_failure(Failure("OSError", "no water", final=True))
    await queue.exchange("w1", 0, *(Outcome(job_id, 1, "fail", error) for job_id in ids))


async def test_pauses_and_settings_tell_what_really_changed(fleet: Fleet, queue: Queue) -> None:
    before = (await queue.read()).now_ms
    here = fleet.queue(QUEUE, why="ticket 17")
    await here.pause(return_running=True)
    await here.pause(return_running=True)
    await here.configure(max_length=5, events=1000, dead_letter="graveyard")
    await here.configure(max_length=5)
    await here.limit(Limits(max_active=3))
    await here.configure(return_running=0, dead_letter="")
    await here.resume()
    await here.resume()
    assert await rows(fleet) == [
        (ANN, "pause", 0, "paused 0->1, return_running 0->1", "ticket 17"),
        (ANN, "configure", 0, "max_length 0->5, dead_letter ''->graveyard", "ticket 17"),
        (ANN, "configure", 0, "max_active 0->3", "ticket 17"),
        (ANN, "configure", 0, "return_running 1->0", "ticket 17"),
        (ANN, "configure", 0, "dead_letter graveyard->''", "ticket 17"),
        (ANN, "resume", 0, "paused 1->0", "ticket 17"),
    ]
    newest, *_, oldest = await here.audit()
    assert before <= oldest.at_ms <= newest.at_ms <= (await queue.read()).now_ms
    assert oldest.id < newest.id


async def test_settings_of_a_group_are_told_with_what_they_were(fleet: Fleet) -> None:
    queue = fleet.queue(QUEUE)
    for _ in range(2):
        await queue.group("tenant-7", weight=2.5, max_active=3)
    await queue.group("tenant-7", rate=5, rate_seconds=60)
    await fleet.client().run(steering.configure_group(REALM, QUEUE, "tenant-7", b"", fleet.author()))
    await fleet.client().run(steering.configure_group(REALM, QUEUE, "nobody", b"", fleet.author()))
    assert [what for _, _, _, what, _ in await rows(fleet)] == [
        "tenant-7: as all groups -> weight 2.5 max_active 3",
        "tenant-7: weight 2.5 max_active 3 -> weight 1 rate 5/60000 ms",
        "tenant-7: weight 1 rate 5/60000 ms -> as all groups",
    ]


async def test_cancels_are_told_once_and_only_where_there_is_something_to_cancel(fleet: Fleet, queue: Queue) -> None:
    await queue.enqueue(new("a"), new("b"), new("c", due=-60_000))
    assert await queue.claim(1) == ["a"]
    here = fleet.queue(QUEUE, why="a wrong upload")
    for job_id in ("a", "b", "c", "nobody", "a", "b"):
        await here.cancel(job_id)
    assert await rows(fleet) == [
        (ANN, "cancel", 1, "a (running)", "a wrong upload"),
        (ANN, "cancel", 1, "b", "a wrong upload"),
        (ANN, "cancel", 1, "c", "a wrong upload"),
    ]


async def test_retries_and_discards_are_one_entry_a_call_with_the_first_few_ids(fleet: Fleet, queue: Queue) -> None:
    ids = [f"j{n}" for n in range(9)]
    await failed(queue, *ids)
    here = fleet.queue(QUEUE)
    assert await here.retry("j0", "nobody") == 1
    assert await here.retry("j0") == 0
    assert await here.retry(*ids[1:8]) == 7
    assert await here.discard("nobody", "j1") == 0
    assert await here.discard("j8", "nobody", "j8") == 1
    assert await rows(fleet) == [
        (ANN, "retry", 1, "j0", ""),
        (ANN, "retry", 7, "j1 j2 j3 ...", ""),
        (ANN, "discard", 1, "j8", ""),
    ]


async def test_what_takes_many_calls_is_one_entry_with_the_sum(
    fleet: Fleet, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "PAGE", 2)
    here = fleet.queue(QUEUE)
    await failed(queue, *"abcde")
    assert await here.retry_where(FailureFilter(kind="ValueError")) == 0
    assert await here.retry_where(FailureFilter(kind="OSError", final=True)) == 5
    assert len(await queue.claim(5)) == 5
    await queue.exchange("w1", 0, *(Outcome(job_id, 2, "fail") for job_id in "abcde"))
    assert await here.retry_where() == 5
    assert await here.retry_where() == 0
    assert len(await queue.claim(5)) == 5
    await queue.exchange("w1", 0, *(Outcome(job_id, 3, "complete") for job_id in "abcde"))
    assert await here.clean(State.FAILED) == 0
    while not (cleaned := await here.clean(State.COMPLETED)):
        pass  # until a millisecond has gone by since they completed
    assert cleaned == 5
    assert await rows(fleet) == [
        (ANN, "retry", 5, "kind=OSError final=True: e d ...", ""),
        (ANN, "retry", 5, "all failed: e d ...", ""),
        (ANN, "clean", 5, "completed, older than 0 s: a b ...", ""),
    ]


async def test_a_further_part_of_an_act_is_an_entry_of_its_own_where_another_act_came_between(
    fleet: Fleet, queue: Queue
) -> None:
    by = fleet.author("ticket 17").about("all failed")
    await failed(queue, *"abc")
    await queue.client.run(steering.retry(REALM, QUEUE, ["a"], by=by))
    await fleet.queue(QUEUE).pause()
    await queue.client.run(steering.retry(REALM, QUEUE, ["b"], by=by.about(by.words, goes_on=True)))
    other = Author("bob", by.why).about(by.words, goes_on=True)
    await queue.client.run(steering.retry(REALM, QUEUE, ["c"], by=other))
    assert [(who, verb, count) for who, verb, count, _, _ in await rows(fleet)] == [
        (ANN, "retry", 1), (ANN, "pause", 0), (ANN, "retry", 1), ("bob", "retry", 1),
    ]  # fmt: skip


async def test_only_a_person_who_forwards_dead_letters_is_told(fleet: Fleet, queue: Queue) -> None:
    here = fleet.queue(QUEUE)
    await here.configure(dead_letter="graveyard")
    await failed(queue, "a")
    await queue.client.follow(carry(REALM, QUEUE))
    await failed(queue, "b")
    assert await here.forward() == 1
    assert await here.forward() == 0
    assert (await rows(fleet))[1:] == [(ANN, "forward", 1, "to graveyard: b", "")]


async def test_workers_that_are_drained_are_told_once(fleet: Fleet, queue: Queue, operator: Inspector) -> None:
    await queue.exchange("w1", 0)
    for _ in range(2):
        await operator.drain(PLACE, ["w1", "w2"], "WorkerPool photos")
    await operator.drain(PLACE, ["w2", "w3"], "WorkerPool photos")
    for _ in range(2):
        await operator.undrain(PLACE, ["w1", "nobody"], "WorkerPool photos")
    assert await rows(fleet) == [
        ("operator/pod-1", "drain", 2, "w1 w2", "WorkerPool photos"),
        ("operator/pod-1", "drain", 1, "w3", "WorkerPool photos"),
        ("operator/pod-1", "undrain", 1, "w1", "WorkerPool photos"),
    ]


async def test_a_mark_that_ran_out_is_set_anew_and_not_taken_away(fleet: Fleet, queue: Queue) -> None:
    by = fleet.author()
    await queue.client.run(steering.drain(REALM, QUEUE, ["w1"], -1, by))
    await queue.client.run(steering.undrain(REALM, QUEUE, ["w1"], by))
    assert [verb for _, verb, *_ in await rows(fleet)] == ["drain"]
    await queue.client.run(steering.drain(REALM, QUEUE, ["w1"], by=by))
    assert [verb for _, verb, *_ in await rows(fleet)] == ["drain", "drain"]


async def test_the_operator_tells_its_pushes_reclaims_and_scalings(
    fleet: Fleet, queue: Queue, operator: Inspector
) -> None:
    for _ in range(2):
        await operator.apply_settings(PLACE, QueueSettings(), "JobQueue photos, generation 1")
        await operator.apply_settings(PLACE, QueueSettings(paused=True, max_length=9), "JobQueue photos, generation 2")
    await operator.apply_settings(PLACE, QueueSettings(max_length=9), "JobQueue photos, generation 3")
    await queue.enqueue(new("a"), new("b"))
    await queue.claim(2)
    assert await operator.reclaim(PLACE, ["w1", "unheard-of"], "Pod photos-1 has ended") == 2
    assert await operator.reclaim(PLACE, ["w1"], "Pod photos-1 has ended") == 0
    places = [PLACE, QueueAddress(REALM, "mail")]
    for _ in range(2):  # an answer was lost
        await operator.record(places, "scale", 4, "WorkerPool photos from 0 to 4, decision 1 of term 1", "backlog 80")
    me = "operator/pod-1"
    assert await rows(fleet) == [
        (me, "pause", 0, "paused 0->1", "JobQueue photos, generation 2"),
        (me, "configure", 0, "max_length 0->9", "JobQueue photos, generation 2"),
        (me, "resume", 0, "paused 1->0", "JobQueue photos, generation 1"),
        (me, "configure", 0, "max_length 9->0", "JobQueue photos, generation 1"),
        (me, "pause", 0, "paused 0->1", "JobQueue photos, generation 2"),
        (me, "configure", 0, "max_length 0->9", "JobQueue photos, generation 2"),
        (me, "resume", 0, "paused 1->0", "JobQueue photos, generation 3"),
        (me, "reclaim", 2, "w1", "Pod photos-1 has ended"),
        (me, "scale", 4, "WorkerPool photos from 0 to 4, decision 1 of term 1", "backlog 80"),
    ]
    assert [row(e)[1:3] for e in await fleet.queue("mail").audit()] == [("scale", 4)]


async def test_what_goes_on_by_itself_leaves_no_entry(fleet: Fleet, queue: Queue) -> None:
    await failed(queue, "a", "b")
    await queue.enqueue(new("c"), new("d", due=-1000))
    await queue.claim(1, "dead")
    assert await queue.reclaim("dead") == 1
    assert not await fleet.client()._redis.exists(KEY)


async def test_the_audit_outlives_the_queue_and_the_purge_is_its_newest_entry(
    fleet: Fleet, queue: Queue, operator: Inspector
) -> None:
    redis_ = fleet.client()._redis
    assert await operator.purge(PLACE, "JobQueue photos, generation 1: deletionPolicy is Purge") == 0
    assert await redis_.keys("*") == [], "there was nothing to purge"
    await queue.enqueue(new("a"), new("b"))
    here = fleet.queue(QUEUE, why="moved to mail")
    await here.pause()
    assert await here.obliterate(QUEUE) == 2
    assert await here.obliterate(QUEUE) == 0
    assert await rows(fleet) == [
        (ANN, "pause", 0, "paused 0->1", "moved to mail"),
        (ANN, "purge", 2, "", "moved to mail"),
    ]
    assert 0 < await redis_.ttl(KEY) <= 90 * 86_400
    await here.pause()
    assert await redis_.ttl(KEY) == -1, "the queue is used again"
    await operator.purge(PLACE, "JobQueue photos, generation 1: deletionPolicy is Purge")
    assert (await rows(fleet))[-1][0:2] == ("operator/pod-1", "purge")


async def test_only_so_many_entries_are_kept_whatever_comes(fleet: Fleet, queue: Queue) -> None:
    here = fleet.queue(QUEUE)
    for n in range(1, 151):
        await here.configure(max_length=n)
    await here.configure(audit=100)
    assert [what for *_, what, _ in await rows(fleet, 1000)] == [
        *(f"max_length {n}->{n + 1}" for n in range(51, 150)), "audit 1000->100",
    ]  # fmt: skip
    for _ in range(110):
        await queue.enqueue(new("a"))
        await here.configure(audit=100)
        await here.obliterate(QUEUE)
    kept = await rows(fleet, 1000)
    assert len(kept) == 100
    assert kept[-1][1] == "purge"
    for least in (0, 99, 100_001):
        with pytest.raises(InvalidJob, match=r"audit: .* must be a whole number from 100 to 100000"):
            await here.configure(audit=least)


async def test_an_entry_weighs_no_more_than_it_may(fleet: Fleet, queue: Queue) -> None:
    redis_ = fleet.client()._redis
    here = fleet.queue(QUEUE, why="ticket 17")
    for n in range(1, 1001):
        await here.configure(max_length=n)
    assert await redis_.memory_usage(KEY, samples=0) / 1000 <= BYTES_AN_ENTRY
    loud = Author("ä" * 10_000, "\x1b[31m€" * 10_000).about("\u2028" * 10_000)
    await here.configure(audit=100)
    for n in range(100):
        await queue.client.run(steering.record(REALM, QUEUE, loud, "scale", 1, str(n) + "€" * 10_000))
    assert 1_000 <= await redis_.memory_usage(KEY, samples=0) / 100 <= MOST_BYTES_AN_ENTRY
    await failed(queue, *(f"{n:0128}" for n in range(200)))
    await queue.client.run(steering.retry(REALM, QUEUE, [f"{n:0128}" for n in range(200)], by=loud))
    entry = (await here.audit(1))[0]
    assert (entry.verb, entry.count) == ("retry", 200)
    sizes = [len(text.encode()) for text in (entry.who, entry.why, entry.what)]
    assert all(size <= most for size, most in zip(sizes, (audit.WHO_BYTES, audit.WHY_BYTES, 1024), strict=True))


async def test_nothing_in_an_entry_moves_a_cursor_or_begins_a_line(fleet: Fleet) -> None:
    evil = Fleet(fleet.redis_url, realm=REALM, actor="a\nnn\x1b[2J")
    await evil.queue(QUEUE, why="x\n+\r\x07").pause()
    group = pack_group(2, 0, 0, 0)  # past the check of names, as with a client of one's own
    await fleet.client().run(steering.configure_group(REALM, QUEUE, "t\x7f\u202e", group, evil.author()))
    await evil.close()
    await fleet.client()._redis.xadd(KEY, {"who": b"\xff\x1b", "verb": "pause", "count": "many"})
    assert await rows(fleet) == [
        ("a\\nnn\\x1b[2J", "pause", 0, "paused 0->1", "x\\n+\\r\\x07"),
        ("a\\nnn\\x1b[2J", "group", 0, "t\\x7f\\u202e: as all groups -> weight 2", ""),
        ("�\\x1b", "pause", 0, "", ""),
    ]


async def test_the_coordinator_acts_for_a_reason_and_tells_when_it_resizes(redis_url: str) -> None:
    async with JobQueueCoordinator(SimpleConfig(redis_url, realm=REALM, actor=ANN)) as queues:

        async def job() -> None: ...

        worker = await queues.register_worker(QUEUE, "job", job, concurrency=2)
        for slots in (5, 5):
            await queues.scale_workers(slots, why="a sale")
        await queues.pause_queue(QUEUE, why="ticket 17")
        await queues.configure_queue(QUEUE, why="ticket 18", max_length=1)
        await queues.resume_queue(QUEUE)
        assert [row(entry) for entry in reversed(await queues.get_audit(QUEUE))] == [
            (ANN, "resize", 1, f"{worker.settings.id} 2->5 slots", "a sale"),
            (ANN, "pause", 0, "paused 0->1", "ticket 17"),
            (ANN, "configure", 0, "max_length 0->1", "ticket 18"),
            (ANN, "resume", 0, "paused 1->0", ""),
        ]
        assert [entry.verb for entry in await queues.get_audit(QUEUE, 1)] == ["resume"]


async def test_workers_are_resized_also_where_the_audit_cannot_be_reached(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with JobQueueCoordinator(SimpleConfig(redis_url, realm=REALM)) as queues:

        async def job() -> None: ...

        worker = await queues.register_worker(QUEUE, "job", job, concurrency=2)
        with monkeypatch.context() as patch:
            away = Fleet("redis://127.0.0.1:1/0", realm=REALM)
            patch.setattr(queues._crew, "_fleet", away)
            patch.setattr(away.client(), "_patience", type(away.client()._patience)(total=0.1))
            await queues.scale_workers(5)
            await away.close()
        assert worker.resize(1) == 5
        assert "the audit does not tell that workers were resized" in caplog.text


def test_synchronous_code_leaves_and_reads_the_same_entries(redis_url: str) -> None:
    with SyncJobQueueCoordinator(SimpleConfig(redis_url, realm=REALM, actor=ANN)) as queues:
        here = queues.fleet.queue_sync(QUEUE, why="ticket 17")
        job_id = queues.enqueue_job(QUEUE, {})
        here.limit(Limits(max_active=3))
        here.group("a", weight=2)
        here.configure(max_length=4)
        queues.pause_queue(QUEUE, why="w")
        queues.resume_queue(QUEUE, why="w")
        queues.configure_queue(QUEUE, why="w", max_length=5)
        queues.cancel_job(QUEUE, job_id, why="w")
        queues.retry_job(QUEUE, job_id, why="w")
        here.cancel(job_id)
        here.retry(job_id)
        here.cancel(job_id)
        here.discard(job_id)
        here.cancel(queues.enqueue_job(QUEUE, {}))
        while not here.clean(State.CANCELLED):
            pass  # as above
        here.retry_where()
        here.forward()
        here.obliterate(QUEUE)
        told = queues.get_audit(QUEUE)
        assert [(entry.verb, entry.why) for entry in reversed(told)] == [
            ("configure", "ticket 17"), ("group", "ticket 17"), ("configure", "ticket 17"), ("pause", "w"),
            ("resume", "w"), ("configure", "w"), ("cancel", "w"), ("retry", "w"), ("cancel", "ticket 17"),
            ("retry", "ticket 17"), ("cancel", "ticket 17"), ("discard", "ticket 17"), ("cancel", "ticket 17"),
            ("clean", "ticket 17"), ("purge", "ticket 17"),
        ]  # fmt: skip
        assert {entry.who for entry in told} == {ANN}
        with pytest.raises(InvalidJob, match="newest: 0 must be a whole number from 1"):
            here.audit(0)


# -- the command line

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def show(redis_url: str) -> Run:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jobfleet", "audit", *arguments]
        env = {**os.environ, "JOBFLEET_REDIS_URL": redis_url, "JOBFLEET_REALM": REALM, "PYTHONIOENCODING": "utf-8"}
        return subprocess.run(command, env=env | variables, capture_output=True, text=True, check=False, timeout=60)

    return run


async def test_the_audit_is_shown_to_a_person_and_to_a_program(show: Run, redis_port: int) -> None:
    with redis.Redis(port=redis_port) as client:
        for ms, verb, count, why in (
            (1_700_000_000_123, "pause", 0, "ticket 17"),
            (1_700_000_060_000, "cancel", 1, ""),
        ):
            fields = {"who": ANN, "verb": verb, "count": count, "what": "paused 0->1", "why": why}
            client.xadd(KEY, fields, id=f"{ms}-0")
    shown = show(QUEUE)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == (
        "TIME (UTC)           WHO       VERB    COUNT  WHAT         WHY\n"
        "2023-11-14 22:14:20  ann@desk  cancel  1      paused 0->1\n"
        "2023-11-14 22:13:20  ann@desk  pause          paused 0->1  ticket 17\n"
    )
    told = [json.loads(line) for line in show(QUEUE, "--json", "--count", "1").stdout.splitlines()]
    assert told == [
        {"id": "1700000060000-0", "at_ms": 1_700_000_060_000, "who": ANN, "verb": "cancel", "count": 1,
         "what": "paused 0->1", "why": ""}
    ]  # fmt: skip
    wrong = show(QUEUE, "--count", "0")
    assert (wrong.returncode, wrong.stderr) == (2, "jobfleet: --count: 0 must be 1 to 2000000000 entries\n")
    assert show("mail").stdout == "TIME (UTC)  WHO  VERB  COUNT  WHAT  WHY\n"
