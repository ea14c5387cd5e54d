"""Random sequences of all verbs, from several clients, against a simple model in Python.

After every step the counters, states, lines and leases of Redis agree with the model's. Redis' clock is not the
model's, so delays are either over at once or too far away to matter, and time is moved by editing scores.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fixtures.verbs import QUEUE, REALM, new
from jobfleet import flows, mending
from jobfleet.clients.blocking import SyncClient
from jobfleet.dead_letters import carry
from jobfleet.report import pack_progress
from jobfleet.scripts import looking, processing, producing, steering
from jobfleet.scripts.processing import Hold, Note, Outcome
from jobfleet.states import State

WORKERS = ("w1", "w2", "w3")
MAX_DELIVERIES = 2
GRAVE = "graveyard"


@dataclass
class Job:
    """What the model knows of a job."""

    state: State = State.WAITING
    priority: int = 5
    attempt: int = 0
    failures: int = 0
    lost: int = 0
    group: str | None = None
    keep: float | None = None
    holder: str | None = None
    cancelling: bool = False
    progress: int | None = None


@dataclass
class Model:
    """The queue as it should be."""

    jobs: dict[str, Job] = field(default_factory=dict)
    paused: bool = False
    returning: bool = False
    draining: set[str] = field(default_factory=set)
    dead_letter: bool = False
    on_their_way: set[str] = field(default_factory=set)
    letters: set[tuple[str, int]] = field(default_factory=set)
    alive: set[str] = field(default_factory=set)
    discarded: list[str] = field(default_factory=list)
    told: list[tuple[str, int]] = field(default_factory=lambda: [("configure", 0)])
    """Verbs and counts of the audit; the first is of the settings that each example begins with."""

    def those(self, state: State) -> list[str]:
        return [job_id for job_id, job in self.jobs.items() if job.state is state]

    def hold(self, worker: str) -> Hold:
        if self.paused and self.returning:
            return Hold.RETURNING
        if worker in self.draining:
            return Hold.DRAINING
        return Hold.PAUSED if self.paused else Hold.NONE

    def failed(self, job_id: str) -> None:
        self.jobs[job_id].state = State.FAILED
        if self.dead_letter:
            self.on_their_way.add(job_id)


class QueueMachine(RuleBasedStateMachine):
    """The verbs as rules."""

    client: SyncClient

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.ids = itertools.count()

    @initialize()
    def empty(self) -> None:
        self.client._redis.flushall()
        self.client.run(steering.configure(REALM, QUEUE, {"max_deliveries": MAX_DELIVERIES, "keep_completed": 10_000}))

    def run(self, command):  # type: ignore[no-untyped-def]
        return self.client.run(command)

    # -- verbs

    @rule(
        specs=st.lists(
            st.tuples(
                st.integers(1, 10),
                st.sampled_from([None, "a", "b", "c"]),
                st.booleans(),
                st.sampled_from([None, 9000, 0]),
                st.booleans(),
            ),
            min_size=1,
            max_size=5,
        )
    )
    def enqueue(self, specs: list[tuple[int, str | None, bool, float | None, bool]]) -> None:
        batch = []
        for priority, group, delayed, keep, again in specs:
            old = again and self.model.discarded
            job_id = self.model.discarded.pop() if old else f"j{next(self.ids)}"
            delay = 86_400 if delayed else 0
            batch.append(new(job_id, priority=priority, group=group, delay=delay, keep_result=keep))
            state = State.DELAYED if delayed else State.WAITING
            self.model.jobs[job_id] = Job(state, priority, group=group, keep=keep)
        assert self.run(producing.enqueue(REALM, QUEUE, batch)) == [job.id for job in batch]

    @rule(worker=st.sampled_from(WORKERS), want=st.integers(1, 6))
    def claim(self, worker: str, want: int) -> None:
        waiting = self.model.those(State.WAITING)
        grant = self.run(processing.settle_and_claim(REALM, QUEUE, worker, want, []))
        self.model.alive.add(worker)
        expected = 0 if self.model.paused or worker in self.model.draining else min(want, len(waiting))
        assert len(grant.jobs) == expected
        assert grant.hold == self.model.hold(worker)
        for claimed in grant.jobs:
            job = self.model.jobs[claimed.id]
            assert job.state is State.WAITING
            job.state, job.attempt, job.holder = State.ACTIVE, job.attempt + 1, worker
            assert (claimed.attempt, claimed.failures, claimed.lost) == (job.attempt, job.failures, job.lost)

    @precondition(lambda self: self.model.those(State.ACTIVE))
    @rule(
        data=st.data(),
        verdict=st.sampled_from(["complete", "retry", "retry later", "fail", "return", "snooze", "cancel"]),
        stale=st.booleans(),
    )
    def settle(self, data: st.DataObject, verdict: str, stale: bool) -> None:
        job_id = data.draw(st.sampled_from(self.model.those(State.ACTIVE)))
        job = self.model.jobs[job_id]
        worker = data.draw(st.sampled_from(WORKERS)) if stale else job.holder
        attempt = job.attempt - 1 if stale else job.attempt
        word = verdict.split(maxsplit=1)[0]
        delay = 86_400_000 if verdict in ("retry later", "snooze") else 0
        outcome = Outcome(job_id, attempt, word, b"", delay)  # type: ignore[arg-type]
        assert worker is not None
        grant = self.run(processing.settle_and_claim(REALM, QUEUE, worker, 0, [outcome]))
        self.model.alive.add(worker)
        if stale:
            assert grant.refused == (job_id,)
            return
        assert grant.refused == ()
        job.holder = None
        if job.cancelling and word != "complete":
            word = "cancel"
        job.cancelling = False
        job.failures += word in ("retry", "fail")
        job.state = {
            "complete": State.COMPLETED,
            "fail": State.FAILED,
            "cancel": State.CANCELLED,
            "return": State.WAITING,
            "retry": State.DELAYED if delay else State.WAITING,
            "snooze": State.DELAYED,
        }[word]
        if word == "fail":
            self.model.failed(job_id)
        if word == "complete" and job.keep == 0:
            del self.model.jobs[job_id]

    @precondition(lambda self: self.model.those(State.ACTIVE))
    @rule(data=st.data(), worker=st.sampled_from(WORKERS), late=st.booleans())
    def note(self, data: st.DataObject, worker: str, late: bool) -> None:
        job_id = data.draw(st.sampled_from(self.model.those(State.ACTIVE)))
        job = self.model.jobs[job_id]
        told = Note(job_id, job.attempt - late, pack_progress(job.attempt))
        kept = self.run(processing.note(REALM, QUEUE, worker, told))
        assert kept is (worker == job.holder and not late)
        if kept:
            job.progress = job.attempt

    @precondition(lambda self: self.model.alive)
    @rule(data=st.data())
    def a_worker_dies(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.model.alive)))
        held = {job_id: job for job_id, job in self.model.jobs.items() if job.holder == worker}
        assert self.run(processing.reclaim(REALM, QUEUE, worker, known_dead=False)) == -1
        assert self.run(processing.reclaim(REALM, QUEUE, worker, known_dead=True)) == len(held)
        for job_id, job in held.items():
            job.holder = None
            job.lost += 1
            job.state = State.WAITING
            if job.cancelling:
                job.state, job.cancelling = State.CANCELLED, False
            elif job.lost > MAX_DELIVERIES:
                self.model.failed(job_id)
        self.model.alive.discard(worker)
        self.model.draining.discard(worker)

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.model.jobs)))
        job = self.model.jobs[job_id]
        answer = self.run(steering.cancel(REALM, QUEUE, job_id, WORKERS))
        if not job.state.terminal and not job.cancelling:
            self.model.told.append(("cancel", 1))
        if job.state is State.ACTIVE:
            assert answer == "told"
            job.cancelling = True
        elif job.state in (State.WAITING, State.DELAYED):
            assert answer == "cancelled"
            job.state = State.CANCELLED
        else:
            assert answer == "ended"

    @precondition(lambda self: self.model.those(State.FAILED) + self.model.those(State.CANCELLED))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        ended = self.model.those(State.FAILED) + self.model.those(State.CANCELLED)
        job_id = data.draw(st.sampled_from(ended))
        job = self.model.jobs[job_id]
        assert self.run(steering.retry(REALM, QUEUE, [job_id])) == [True]
        self.model.told.append(("retry", 1))
        job.state, job.failures, job.lost = State.WAITING, 0, 0
        self.model.on_their_way.discard(job_id)

    @precondition(lambda self: self.model.those(State.DELAYED))
    @rule(data=st.data())
    def a_delayed_jobs_time_comes(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(self.model.those(State.DELAYED)))
        self.client._redis.zadd("jf:{test/photos}:delayed", {job_id: 1})
        assert self.run(processing.promote(REALM, QUEUE)) == 1
        self.model.jobs[job_id].state = State.WAITING

    @precondition(lambda self: any(job.state.terminal for job in self.model.jobs.values()))
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from([i for i, job in self.model.jobs.items() if job.state.terminal]))
        assert self.run(steering.discard(REALM, QUEUE, [job_id])) == 1
        self.model.told.append(("discard", 1))
        del self.model.jobs[job_id]
        self.model.on_their_way.discard(job_id)
        self.model.discarded.append(job_id)

    @rule(line=st.integers(1, 10), lost=st.integers(0, 3))
    def lose_some_and_mend(self, line: int, lost: int) -> None:
        key = f"jf:{{test/photos}}:wait:{line}"
        self.client._redis.lpop(key, lost)
        standing = {job_id.decode() for job_id in self.client._redis.lrange(key, 0, -1)}
        alone = [i for i in self.model.those(State.WAITING) if self.model.jobs[i].group is None]
        astray = {i for i in alone if self.model.jobs[i].priority == line} - standing
        assert self.client.follow(mending.mend(REALM, QUEUE)) == len(astray)
        if astray:
            self.model.told.append(("mend", len(astray)))

    @rule(on=st.booleans())
    def name_a_dead_letter_queue(self, on: bool) -> None:
        self.run(steering.configure(REALM, QUEUE, {"dead_letter": GRAVE if on else ""}))
        if self.model.dead_letter != on:
            self.model.told.append(("configure", 0))
        self.model.dead_letter = on

    @rule(steps=st.integers(1, 3))
    def carry_and_die_after_some_steps(self, steps: int) -> None:
        flow, commands, answer = carry(REALM, QUEUE), 0, None
        with contextlib.suppress(StopIteration):
            while commands < steps:
                answer = self.run(flow.send(answer))
                commands += 1
        if not self.model.dead_letter:
            self.model.on_their_way.clear()
        for job_id in self.model.on_their_way:
            self.client._redis.zadd("jf:{test/photos}:forwarding", {job_id: 1}, xx=True)
        if steps > 1:
            self.model.letters |= {(job_id, self.since(job_id)) for job_id in self.model.on_their_way}
        if steps > 2:
            self.model.on_their_way.clear()

    def since(self, job_id: str) -> int:
        view = self.run(looking.look(REALM, QUEUE, job_id))
        return int(view.since_ms)

    @rule(paused=st.booleans(), returning=st.booleans())
    def pause(self, paused: bool, returning: bool = False) -> None:
        self.run(steering.configure(REALM, QUEUE, {"paused": paused, "return_running": returning}))
        if self.model.paused != paused:
            self.model.told.append(("pause" if paused else "resume", 0))
        elif self.model.returning != returning:
            self.model.told.append(("configure", 0))
        self.model.paused, self.model.returning = paused, returning

    @precondition(lambda self: self.model.alive)
    @rule(data=st.data(), on=st.booleans())
    def drain(self, data: st.DataObject, on: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.model.alive)))
        if on:
            held = sum(job.holder == worker for job in self.model.jobs.values())
            assert self.run(steering.drain(REALM, QUEUE, [worker])) == {worker: held}
            if worker not in self.model.draining:
                self.model.told.append(("drain", 1))
            self.model.draining.add(worker)
        else:
            self.run(steering.undrain(REALM, QUEUE, [worker]))
            if worker in self.model.draining:
                self.model.told.append(("undrain", 1))
            self.model.draining.discard(worker)

    @rule(state=st.sampled_from(State))
    def list_jobs(self, state: State) -> None:
        found = self.client.follow(flows.jobs(REALM, QUEUE, state, 1_000))
        assert sorted(job.id for job in found) == sorted(self.model.those(state))
        assert [job.worker or None for job in found] == [self.model.jobs[job.id].holder for job in found]
        if found:
            one = self.client.follow(flows.job(REALM, QUEUE, found[0].id))
            assert one == found[0]

    # -- what always holds

    @invariant()
    def the_counters_agree(self) -> None:
        reading = self.run(looking.inspect(REALM, QUEUE))
        seen = {
            State.WAITING: reading.counters.get("waiting", 0),
            State.ACTIVE: reading.counters.get("active", 0),
            State.DELAYED: reading.delayed,
            State.COMPLETED: reading.completed,
            State.FAILED: reading.failed,
            State.CANCELLED: reading.cancelled,
        }
        assert seen == {state: len(self.model.those(state)) for state in seen}
        assert reading.forwarding == len(self.model.on_their_way)
        assert self.run(looking.inspect(REALM, GRAVE)).count("waiting") == len(self.model.letters)
        busy = {worker.id: worker.busy for worker in reading.workers}
        held = {w: sum(job.holder == w for job in self.model.jobs.values()) for w in self.model.alive}
        assert busy == held
        assert {worker.id for worker in reading.workers if worker.draining} == self.model.draining

    @invariant()
    def the_audit_tells_what_was_done_and_nothing_else(self) -> None:
        entries = self.run(looking.read_audit(REALM, QUEUE, 1_000))
        assert [(entry.verb, entry.count) for entry in reversed(entries)] == self.model.told

    @invariant()
    def what_ended_is_listed(self) -> None:
        for state in (State.COMPLETED, State.FAILED, State.CANCELLED):
            expected = self.model.those(state)
            starts = range(0, len(expected) + 1, 7)
            pages = [self.run(looking.list_jobs(REALM, QUEUE, state, start, 7)) for start in starts]
            assert sorted(job.id for _, page in pages for job in page) == sorted(expected)

    @invariant()
    def the_states_agree(self) -> None:
        for job_id, job in self.model.jobs.items():
            view = self.run(looking.look(REALM, QUEUE, job_id))
            assert view is not None
            assert (view.state, view.attempt, view.failures, view.lost, view.group, view.progress) == (
                job.state, job.attempt, job.failures, job.lost, job.group, job.progress,
            )  # fmt: skip

    @invariant()
    def active_jobs_of_groups_are_counted(self) -> None:
        counted = self.client._redis.hgetall("jf:{test/photos}:group_active")
        expected: dict[bytes, bytes] = {}
        for group in "abc":
            running = sum(job.group == group and job.state is State.ACTIVE for job in self.model.jobs.values())
            if running:
                expected[group.encode()] = str(running).encode()
        assert counted == expected

    def teardown(self) -> None:
        """Whatever happened, everything that waits can be had, once."""
        if not self.client._redis.exists("jf:{test/photos}:config"):
            return
        self.pause(False)
        expected = sorted(self.model.those(State.WAITING))
        got: list[str] = []
        while True:
            grant = self.run(processing.settle_and_claim(REALM, QUEUE, "last", 100, []))
            got += [job.id for job in grant.jobs]
            if not grant.jobs and not grant.again:
                break
        assert sorted(got) == expected
        for key in ("ring", "group_line", "group_part", "group_wait"):
            assert not self.client._redis.exists(f"jf:{{test/photos}}:{key}"), key


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_all_verbs_in_any_order_agree_with_the_model(redis_url: str) -> None:
    QueueMachine.client = SyncClient(redis_url)
    try:
        run_state_machine_as_test(
            QueueMachine,
            settings=settings(
                max_examples=150,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            ),
        )
    finally:
        QueueMachine.client.close()
