"""Random sequences of all verbs, from several clients, against a simple model in Python (fixtures/queue_model.py).

After every step the counters, states, keys and leases of Redis agree with the model's. Redis' clock is not the
model's, so delays are either over at once or too far away to matter, and time is moved by editing scores and records.
A claim gives up after few ids that bring no job, so that it is seen how it goes on.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Generator
from dataclasses import replace
from typing import Any, TypeVar

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

from fixtures.queue_draws import (
    BATCHES,
    DAY_US,
    DELAYS,
    GROUPS,
    SELDOM,
    SOME_IDS,
    TURNS,
    VERDICTS,
    WHILE_MS,
    WORKERS,
    Spec,
    Turn,
)
from fixtures.queue_model import Model
from fixtures.verbs import QUEUE, REALM
from jobfleet import codec, flows, mending
from jobfleet.clients.blocking import SyncClient
from jobfleet.dead_letters import carry
from jobfleet.errors import JobfleetError, QueueFull
from jobfleet.keys import queue_keys
from jobfleet.record import since_of, view
from jobfleet.report import pack_progress
from jobfleet.scripts import looking, processing, producing, steering
from jobfleet.scripts.command import Command, Script
from jobfleet.scripts.processing import Grant, Note, Outcome
from jobfleet.states import State

T = TypeVar("T")

KEY = queue_keys(REALM, QUEUE)
CLIENTS = 3
MAX_DELIVERIES = 2
GRAVE = "graveyard"
SKIPS = 2
"""Ids without a job after which a claim gives up."""


class QueueMachine(RuleBasedStateMachine):
    """The verbs as rules. Those that enqueue and work are there more than once, so that they come more often."""

    clients: tuple[SyncClient, ...]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.turns = itertools.cycle(self.clients)
        self.purged = False

    @initialize(data=st.data(), batches=st.tuples(BATCHES, BATCHES, BATCHES), turns=TURNS, buried=st.booleans())
    def begin(self, data: st.DataObject, batches: tuple[list[Spec], ...], turns: list[Turn], buried: bool) -> None:
        """Some jobs run or have ended, and some wait."""
        self.redis.flushall()
        self.configure(max_deliveries=MAX_DELIVERIES, dead_letter=GRAVE if buried else "")
        self.enqueue(specs=batches[0])
        self.enqueue(specs=batches[1])
        self.work(data=data, turns=turns)
        self.enqueue(specs=batches[2])

    def run(self, command: Command[T]) -> T:
        return next(self.turns).run(command)

    def follow(self, flow: Generator[Any, Any, T]) -> T:
        return next(self.turns).follow(flow)

    @property
    def redis(self) -> Any:
        return self.clients[0]._redis

    def some(self, data: st.DataObject, *states: State) -> str:
        """The id of a job in one of these states."""
        return data.draw(st.sampled_from([job_id for state in states for job_id in self.model.those(state)]))

    # -- verbs of producers

    @rule(specs=BATCHES)
    def enqueue(self, specs: list[Spec]) -> None:
        after = copy.deepcopy(self.model)
        answers, needless, room = after.enqueue([(spec.id, spec.job()) for spec in specs])
        answer = self.run(producing.offer(REALM, QUEUE, [spec.sent() for spec in specs]))
        if room:
            assert answer == answers
            self.model = after
        else:
            assert isinstance(answer, QueueFull)
            assert answer.needless == needless

    @rule(specs=BATCHES)
    def enqueue_as_others(self, specs: list[Spec]) -> None:
        """Ids that are known are cancelled, forgotten, and come again at once as other jobs."""
        self.discard(ids=list({spec.id: None for spec in specs}), cancelled=True)
        self.enqueue(specs=specs)

    # -- verbs of workers

    @rule(data=st.data(), turns=TURNS)
    def work(self, data: st.DataObject, turns: list[Turn]) -> None:
        """Workers hand in and claim; outcomes of others' jobs and of earlier attempts are refused."""
        for worker, want, honest in turns:
            jobs, outcomes, refused = self.model.jobs, [], []
            active = [i for i in self.model.those(State.ACTIVE) if jobs[i].holder == worker or not honest]
            ids = data.draw(st.lists(st.sampled_from(active), max_size=4, unique=True)) if active else []
            late = not honest and data.draw(st.booleans())
            for job_id in ids:
                verdict, delay = data.draw(VERDICTS), data.draw(DELAYS)
                outcomes.append(Outcome(job_id, jobs[job_id].attempt - late, verdict, b"", delay))
                if jobs[job_id].holder == worker and not late:
                    self.model.settle(job_id, verdict, delay)
                else:
                    refused.append(job_id)
            assert self.exchange(worker, want, outcomes).refused == tuple(refused)

    @rule(data=st.data(), turns=TURNS)
    def work_on(self, data: st.DataObject, turns: list[Turn]) -> None:
        self.work(data=data, turns=turns)

    @rule(data=st.data(), turns=TURNS)
    def work_as_ever(self, data: st.DataObject, turns: list[Turn]) -> None:
        self.work(data=data, turns=turns)

    def exchange(self, worker: str, want: int, outcomes: list[Outcome]) -> Grant:
        """Hands in outcomes, which the model knows already, and claims."""
        if want:
            self.model.promote()
        closed = self.model.hold(worker) or self.model.blocked
        expected = 0 if closed else min(want, self.model.can_be_had())
        grant = self.run(processing.settle_and_claim(REALM, QUEUE, worker, want, outcomes))
        self.model.alive.add(worker)
        assert grant.hold == self.model.hold(worker)
        assert len(grant.jobs) == expected or (grant.again and len(grant.jobs) < expected)
        # of the jobs that have waited too long, those that it met have failed
        states = self.states()
        expired = [job_id for job_id in self.model.those(State.WAITING) if states.get(job_id) is State.FAILED]
        assert set(expired) <= set(() if closed else self.model.left_over())
        assert len(expired) < SKIPS + want
        for job_id in expired:
            assert self.model.jobs[job_id].overdue
            self.model.expire(job_id)
        for claimed in grant.jobs:
            job = self.model.jobs[claimed.id]
            assert job.state is State.WAITING
            assert not job.overdue
            assert job.group is None or self.model.group_room(job.group)
            assert self.model.room()
            self.model.claim(claimed.id, worker)
            assert (claimed.attempt, claimed.failures, claimed.lost) == (job.attempt, job.failures, job.lost)
        if len(grant.jobs) < want and not closed and not grant.again:
            assert self.model.left_over() == []
        return grant

    @precondition(lambda self: self.model.those(State.ACTIVE))
    @rule(data=st.data(), worker=st.sampled_from(WORKERS), late=st.booleans())
    def note(self, data: st.DataObject, worker: str, late: bool) -> None:
        job_id = self.some(data, State.ACTIVE)
        job = self.model.jobs[job_id]
        told = Note(job_id, job.attempt - late, pack_progress(job.attempt))
        kept = self.run(processing.note(REALM, QUEUE, worker, told))
        assert kept is (worker == job.holder and not late)
        if kept:
            job.progress = job.attempt

    @rule(worker=st.sampled_from(WORKERS))
    def heartbeat(self, worker: str) -> None:
        pulse = self.run(processing.heartbeat(REALM, QUEUE, worker, codec.pack_info(worker, "", 6)))
        self.model.alive.add(worker)
        assert pulse.held == self.model.held(worker)
        assert (pulse.draining, pulse.overdue) == (worker in self.model.draining, ())
        assert pulse.to_forward == len(self.model.on_their_way)
        assert pulse.returning == bool(self.model.settings["paused"] and self.model.settings["return_running"])

    @precondition(lambda self: self.model.alive)
    @rule(data=st.data())
    def a_worker_retires(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.model.alive)))
        held = self.model.held(worker)
        assert self.run(processing.retire(REALM, QUEUE, worker)) == len(held)
        if not held:
            self.model.gone(worker)

    @precondition(lambda self: self.model.alive)
    @rule(data=st.data())
    def a_worker_dies(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.model.alive)))
        held = self.model.held(worker)
        assert self.run(processing.reclaim(REALM, QUEUE, worker, known_dead=False)) == -1
        assert self.run(processing.reclaim(REALM, QUEUE, worker, known_dead=True)) == len(held)
        self.model.reclaim(worker)

    # -- time goes by

    @precondition(lambda self: self.model.those(State.DELAYED))
    @rule(data=st.data(), moved=st.booleans())
    def a_delayed_jobs_time_comes(self, data: st.DataObject, moved: bool) -> None:
        """The operator moves it, or the next claim does."""
        job_id = self.some(data, State.DELAYED)
        self.redis.zadd(KEY.delayed, {job_id: 1})
        self.model.jobs[job_id].due = True
        if moved:
            assert self.run(processing.promote(REALM, QUEUE)) == self.model.promote()

    @rule(specs=BATCHES, worker=st.sampled_from(WORKERS), want=st.integers(0, 2))
    def what_waits_has_waited_too_long(self, specs: list[Spec], worker: str, want: int) -> None:
        """And a worker comes."""
        self.enqueue(specs=[replace(spec, expires=True) for spec in specs])
        for job_id in self.model.those(State.WAITING):
            job = self.model.jobs[job_id]
            record = self.redis.hget(KEY.jobs, job_id)
            self.redis.hset(KEY.jobs, job_id, record[:13] + (1).to_bytes(6, "big") + record[19:])
            job.overdue = job.expires
        self.exchange(worker, want, [])

    @precondition(lambda self: "mail" in self.model.owners)
    @rule()
    def the_time_of_a_key_is_over(self) -> None:
        self.redis.hset(KEY.prefix + "dedup", "mail", f"{self.model.owners.pop('mail')} 1")
        self.redis.zadd(KEY.prefix + "dedup_until", {"mail": 1})

    @precondition(lambda self: self.model.blocked or self.model.parked)
    @rule()
    def limits_that_handlers_met_are_over(self) -> None:
        self.redis.hset(KEY.counters, "blocked_until", 1)
        self.redis.zadd(KEY.group_parked, dict.fromkeys(GROUPS, 1), xx=True)
        self.model.blocked = False
        self.model.parked.clear()

    # -- verbs of those who steer

    def configure(self, **settings: int | str) -> None:
        self.run(steering.configure(REALM, QUEUE, settings))
        self.model.configure(settings)

    @rule(paused=st.booleans(), returning=st.booleans())
    def pause(self, paused: bool, returning: bool) -> None:
        self.configure(paused=int(paused), return_running=int(returning))

    @rule(most=st.sampled_from([0, 0, 3]), length=st.sampled_from([0, 0, 12]), each=st.integers(0, 2))
    def limit(self, most: int, length: int, each: int) -> None:
        self.configure(max_active=most, max_length=length, group_max_active=each)

    @rule(count=st.sampled_from([0, 0, 5]), each=st.sampled_from([0, 2, 3]))
    def limit_the_rate(self, count: int, each: int) -> None:
        self.configure(rate_count=count, rate_ms=WHILE_MS, group_rate_count=each, group_rate_ms=WHILE_MS)

    @rule(
        group=st.sampled_from(GROUPS),
        weight=st.sampled_from([1, 3]),
        most=st.sampled_from([1, 1, 2, 0]),
        rate=st.sampled_from([0, 0, 2]),
    )
    def limit_a_group(self, group: str, weight: int, most: int, rate: int) -> None:
        config = codec.pack_group(weight, most, rate, WHILE_MS if rate else 1)
        changed = (self.redis.hget(KEY.prefix + "group_config", group) or b"") != config
        self.run(steering.configure_group(REALM, QUEUE, group, config))
        self.model.group_most[group], self.model.group_rate[group] = most, rate
        self.model.forget_buckets()
        if changed:
            self.model.told.append(("group", 0))

    @precondition(lambda self: self.model.alive)
    @rule(data=st.data(), on=st.booleans())
    def drain(self, data: st.DataObject, on: bool) -> None:
        worker = data.draw(st.sampled_from(sorted(self.model.alive)))
        if on:
            assert self.run(steering.drain(REALM, QUEUE, [worker])) == {worker: len(self.model.held(worker))}
        else:
            assert self.run(steering.undrain(REALM, QUEUE, [worker])) == (worker in self.model.draining)
        if on != (worker in self.model.draining):
            self.model.told.append(("drain" if on else "undrain", 1))
        self.model.draining ^= {worker} if on != (worker in self.model.draining) else set()

    @rule(ids=SOME_IDS)
    def cancel(self, ids: list[str]) -> None:
        for job_id in ids:
            assert self.run(steering.cancel(REALM, QUEUE, job_id, WORKERS)) == self.model.cancel(job_id)

    @rule(ids=SOME_IDS, spaced=SELDOM, later=SELDOM)
    def retry(self, ids: list[str], spaced: bool, later: bool) -> None:
        command = steering.retry(REALM, QUEUE, ids, DAY_US * spaced, DAY_US * later)
        assert self.run(command) == self.model.retry(ids, spaced=spaced, later=later)

    @rule(ids=SOME_IDS, cancelled=st.booleans())
    def discard(self, ids: list[str], cancelled: bool) -> None:
        """Those that have ended; or first all others are cancelled, so that ids of none stay where they waited."""
        if cancelled:
            self.cancel(ids=ids)
        ended = [job_id for job_id in ids if job_id in self.model.jobs and self.model.jobs[job_id].state.terminal]
        assert self.run(steering.discard(REALM, QUEUE, ids)) == len(ended)
        self.model.forget(ended)
        if ended:
            self.model.told.append(("discard", len(ended)))

    @rule(
        state=st.sampled_from([State.COMPLETED, State.FAILED, State.CANCELLED]),
        most=st.sampled_from([1, 1000]),
        early=st.booleans(),
    )
    def clean(self, state: State, most: int, early: bool) -> None:
        """What has a time of its own, or is on its way, stays."""
        those = set(self.model.those(state)) - self.model.on_their_way
        old = {job_id for job_id in those if state is not State.COMPLETED or self.model.jobs[job_id].keep is None}
        expected = 0 if early else min(most, len(old))
        assert self.run(steering.clean(REALM, QUEUE, state, 1 if early else 2**47, most)) == expected
        gone = [job_id for job_id in old if job_id not in self.states()]
        assert len(gone) == expected
        self.model.forget(gone)
        if gone:
            self.model.told.append(("clean", len(gone)))

    @precondition(lambda self: not self.purged)
    @rule(force=st.booleans())
    def obliterate(self, force: bool) -> None:
        if self.model.those(State.ACTIVE) and not force:
            with pytest.raises(JobfleetError, match="running jobs"):
                self.follow(flows.obliterate(REALM, QUEUE, force=force))
            return
        assert self.follow(flows.obliterate(REALM, QUEUE, force=force)) == len(self.model.jobs)
        told, letters = [*self.model.told, ("purge", len(self.model.jobs))], self.model.letters
        self.model, self.purged = Model(told=told, letters=letters), True
        self.configure(max_deliveries=MAX_DELIVERIES)

    # -- what goes astray

    def mend(self, astray: int) -> None:
        assert self.follow(mending.mend(REALM, QUEUE)) == astray
        if astray:
            self.model.told.append(("mend", astray))

    @rule(line=st.integers(1, 10), lost=st.integers(0, 3))
    def lose_some_and_mend(self, line: int, lost: int) -> None:
        self.redis.lpop(KEY.line(line), lost)
        standing = {job_id.decode() for job_id in self.redis.lrange(KEY.line(line), 0, -1)}
        alone = [i for i in self.model.those(State.WAITING) if self.model.jobs[i].group is None]
        self.mend(len({i for i in alone if self.model.jobs[i].priority == line} - standing))

    @precondition(lambda self: any(map(self.model.those, (State.DELAYED, State.FAILED, State.CANCELLED))))
    @rule(data=st.data())
    def lose_one_from_its_set_and_mend(self, data: st.DataObject) -> None:
        """It comes back as its record has it: a delayed one at its time, a failed one to be carried."""
        job_id = self.some(data, State.DELAYED, State.FAILED, State.CANCELLED)
        for name in (KEY.delayed, KEY.failed, KEY.cancelled, KEY.forwarding):
            self.redis.zrem(name, job_id)
        self.mend(1)
        self.model.jobs[job_id].due = False
        self.model.on_their_way.discard(job_id)
        if self.model.jobs[job_id].state is State.FAILED and self.model.settings["dead_letter"]:
            self.model.on_their_way.add(job_id)

    # -- dead letters

    @rule(on=st.booleans())
    def name_a_dead_letter_queue(self, on: bool) -> None:
        self.configure(dead_letter=GRAVE if on else "")

    @precondition(lambda self: self.model.on_their_way or self.model.settings["dead_letter"])
    @rule(steps=st.integers(1, 3))
    def carry_and_die_after_some_steps(self, steps: int) -> None:
        flow, commands, answer = carry(REALM, QUEUE), 0, None
        with contextlib.suppress(StopIteration):
            while commands < steps:
                answer = self.run(flow.send(answer))
                commands += 1
        if not self.model.settings["dead_letter"]:
            self.model.on_their_way.clear()
        for job_id in self.model.on_their_way:
            self.redis.zadd(KEY.forwarding, {job_id: 1}, xx=True)
        if steps > 1:
            records = {job_id: self.redis.hget(KEY.jobs, job_id) for job_id in self.model.on_their_way}
            self.model.letters |= {(job_id, since_of(record)) for job_id, record in records.items()}
        if steps > 2:
            self.model.on_their_way.clear()

    # -- verbs of onlookers

    @rule(state=st.sampled_from(State))
    def list_jobs(self, state: State) -> None:
        found = self.follow(flows.jobs(REALM, QUEUE, state, 1_000))
        assert sorted(job.id for job in found) == sorted(self.model.those(state))
        assert [job.worker or None for job in found] == [self.model.jobs[job.id].holder for job in found]
        if found:
            one = self.follow(flows.job(REALM, QUEUE, found[0].id))
            assert one == found[0]

    def states(self) -> dict[str, State]:
        records = self.redis.hgetall(KEY.jobs)
        return {i.decode(): view(QUEUE, i.decode(), record, None, None, None).state for i, record in records.items()}

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
        words = ("enqueued", "replaced", "retried", "finished", "reclaimed", "completed", "failed", "cancelled")
        assert {word: reading.count(word) for word in words} == {word: self.model.total[word] for word in words}
        assert {worker.id for worker in reading.workers if worker.draining} == self.model.draining
        busy = {worker.id: worker.busy for worker in reading.workers}
        assert busy == {worker: len(self.model.held(worker)) for worker in self.model.alive}
        assert self.run(looking.inspect(REALM, GRAVE)).count("waiting") == len(self.model.letters)

    @invariant()
    def each_worker_holds_its_own(self) -> None:
        for worker in WORKERS:
            held = self.redis.hgetall(KEY.active(worker))
            assert {i.decode(): int(attempt) for i, attempt in held.items()} == self.model.held(worker)

    @invariant()
    def keys_of_deduplication_have_their_owners(self) -> None:
        held = {key.decode(): text.decode().split() for key, text in self.redis.hgetall(KEY.prefix + "dedup").items()}
        assert {key: owner for key, (owner, until) in held.items() if until != "1"} == self.model.owners

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
        progress = self.redis.hgetall(KEY.progress)
        seen = {}
        for name, record in self.redis.hgetall(KEY.jobs).items():
            job = view(QUEUE, name.decode(), record, None, None, progress.get(name))
            seen[job.id] = (job.state, job.priority, job.group, job.attempt, job.failures, job.lost, job.progress)
        assert seen == {
            i: (job.state, job.priority, job.group, job.attempt, job.failures, job.lost, job.progress)
            for i, job in self.model.jobs.items()
        }

    @invariant()
    def active_jobs_of_groups_are_counted(self) -> None:
        counted = self.redis.hgetall(KEY.prefix + "group_active")
        assert {group.decode(): int(n) for group, n in counted.items()} == self.model.running()

    def teardown(self) -> None:
        """Whatever happened, everything stands where it should, and all that waits can be had, once."""
        if not self.redis.exists(KEY.config):
            return
        self.mend(0)
        self.configure(paused=0, max_active=0, group_max_active=0, rate_count=0, group_rate_count=0)
        for group in GROUPS:
            self.limit_a_group(group, 1, 0, 0)
        self.limits_that_handlers_met_are_over()
        while True:
            grant = self.exchange("last", 100, [])
            if not grant.jobs and not grant.again:
                break
        assert self.model.those(State.WAITING) == []
        for name in ("ring", "group_line", "group_part", "group_wait", "group_tokens"):
            assert not self.redis.exists(KEY.prefix + name), name


@pytest.fixture
def clients(redis_url: str) -> Generator[tuple[SyncClient, ...]]:
    clients = tuple(SyncClient(redis_url) for _ in range(CLIENTS))
    yield clients
    for client in clients:
        client.close()


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_all_verbs_in_any_order_agree_with_the_model(
    clients: tuple[SyncClient, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = Script("settle_and_claim")
    impatient.text = impatient.text.replace("local SKIPS = 1000", f"local SKIPS = {SKIPS}")
    assert impatient.text != processing._settle_and_claim.text
    monkeypatch.setattr(processing, "_settle_and_claim", impatient)
    QueueMachine.clients = clients
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=220,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
