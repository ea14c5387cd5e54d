"""The circuit breaker in any order of events, against a simple model: of the queue, and of one group beside another.

Time is moved by editing when probes may begin; the window is so long that nothing leaves it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import msgspec
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
from jobfleet.clients.blocking import SyncClient
from jobfleet.scripts import looking, processing, producing, steering
from jobfleet.scripts.processing import Hold, Outcome

LEAST, PERCENT, PROBES = 2, 50, 2
WORKERS = ("w1", "w2")


@dataclass
class Breaker:
    """The circuit as it should be. ``round`` numbers the half-open times."""

    state: str = "closed"
    bad: int = 0
    all: int = 0
    passed: int = 0
    round: int = 0
    running: int = 0

    def settle(self, verdict: str, began: list[int]) -> None:
        """Attempts that came to an end together, each with the half-open time in which it began."""
        good, bad = verdict == "complete", verdict in ("fail", "retry")
        if self.state == "closed":
            self.bad, self.all = self.bad + bad * len(began), self.all + (good or bad) * len(began)
            if bad and self.all >= LEAST and self.bad * 100 >= PERCENT * self.all:
                self.opens()
        elif self.state == "half-open" and (probes := began.count(self.round)):
            self.running -= probes
            self.passed += probes * good
            if bad:
                self.opens()
            elif self.passed >= PROBES:
                self.closes()

    def opens(self) -> None:
        self.state, self.bad, self.all = "open", 0, 0

    def closes(self) -> None:
        self.state, self.bad, self.all = "closed", 0, 0

    def room(self) -> int:
        return {"closed": 1_000, "open": 0, "half-open": PROBES - self.running}[self.state]

    def begins_half(self) -> None:
        self.state, self.passed, self.running, self.round = "half-open", 0, 0, self.round + 1


@dataclass
class Model:
    """The queue as it should be."""

    breaker: Breaker = field(default_factory=Breaker)
    waiting: int = 0
    due: bool = False
    active: dict[str, tuple[str, int, int]] = field(default_factory=dict)  # id -> worker, attempt, round


class CircuitMachine(RuleBasedStateMachine):
    """Jobs that begin and end, workers that die, time that passes."""

    client: SyncClient
    group: str | None = None

    @initialize()
    def empty(self) -> None:
        self.client._redis.flushall()
        self.model, self.ids = Model(), itertools.count()
        self.settings = {
            "breaker_percent": PERCENT, "breaker_least": LEAST, "breaker_probes": PROBES, "breaker_open_ms": 3_600_000,
            "breaker_window_ms": 86_400_000, "breaker_per_group": int(self.group is not None), "max_deliveries": 254,
        }  # fmt: skip
        self.run(steering.configure(REALM, QUEUE, self.settings))
        self.enqueue(20)

    def run(self, command):  # type: ignore[no-untyped-def]
        return self.client.run(command)

    @precondition(lambda self: self.model.waiting < 4)
    @rule(jobs=st.integers(1, 6))
    def more_jobs(self, jobs: int) -> None:
        self.enqueue(jobs)

    def enqueue(self, jobs: int) -> None:
        batch = [new(f"j{next(self.ids)}", group=self.group) for _ in range(jobs)]
        self.run(producing.enqueue(REALM, QUEUE, batch))
        self.model.waiting += jobs

    @rule(worker=st.sampled_from(WORKERS), want=st.integers(1, 6))
    def claim(self, worker: str, want: int) -> None:
        model, breaker = self.model, self.model.breaker
        if self.group is not None:  # a job of another group is never held up
            self.run(producing.enqueue(REALM, QUEUE, [new(f"other{next(self.ids)}", group="other")]))
        self.looked_at(looks=self.group is None or model.waiting > 0)
        expected = min(want, model.waiting, breaker.room())
        grant = self.run(processing.settle_and_claim(REALM, QUEUE, worker, want + (self.group is not None), []))
        others = [job for job in grant.jobs if job.id.startswith("other")]
        if others:
            outcomes = [Outcome(job.id, job.attempt, "complete") for job in others]
            self.run(processing.settle_and_claim(REALM, QUEUE, worker, 0, outcomes))
        jobs = [job for job in grant.jobs if job not in others]
        assert bool(others) is (self.group is not None)
        assert (
            expected <= len(jobs) <= min(want + 1, model.waiting, breaker.room()) if others else len(jobs) == expected
        )
        if self.group is None:
            assert (grant.hold is Hold.OPEN) is (breaker.room() == 0)
        for job in jobs:
            model.active[job.id] = worker, job.attempt, breaker.round if breaker.state == "half-open" else -1
        model.waiting -= len(jobs)
        if breaker.state == "half-open":
            breaker.running += len(jobs)

    @precondition(lambda self: self.model.active)
    @rule(data=st.data(), verdict=st.sampled_from(["complete", "fail", "retry", "return", "blameless"]))
    def settle(self, data: st.DataObject, verdict: str) -> None:
        worker = data.draw(st.sampled_from(sorted({holder for holder, *_ in self.model.active.values()})))
        some = st.lists(st.sampled_from(self.held(worker)), min_size=1, max_size=3, unique=True)
        self.end(worker, data.draw(some), verdict)

    def held(self, worker: str) -> list[str]:
        return sorted(job_id for job_id, (holder, *_) in self.model.active.items() if holder == worker)

    def end(self, worker: str, job_ids: list[str], verdict: str) -> None:
        word = "fail" if verdict == "blameless" else verdict
        outcomes, began = [], []
        for job_id in job_ids:
            _, attempt, number = self.model.active.pop(job_id)
            began.append(number)
            outcomes.append(Outcome(job_id, attempt, word, blameless=verdict == "blameless"))  # type: ignore[arg-type]
            self.model.waiting += verdict in ("retry", "return")
        assert self.run(processing.settle_and_claim(REALM, QUEUE, worker, 0, outcomes)).refused == ()
        self.model.breaker.settle(verdict, began)
        self.looked_at(looks=self.group is None)

    @precondition(lambda self: self.model.breaker.state == "closed" and self.model.waiting > 1)
    @rule()
    def jobs_fail(self) -> None:
        self.claim("w1", 2)
        self.end("w1", self.held("w1"), "fail")

    @precondition(lambda self: self.model.breaker.state == "open" and self.model.waiting)
    @rule(worker=st.sampled_from(WORKERS), want=st.integers(1, 3))
    def probes_begin(self, worker: str, want: int) -> None:
        self.time_passes()
        self.claim(worker, want)

    def looked_at(self, *, looks: bool) -> None:
        """A queue's circuit is looked at by each exchange, a group's by those that would hand out a job of it."""
        if looks and self.model.breaker.state == "open" and self.model.due:
            self.model.breaker.begins_half()
            self.model.due = False

    @rule(worker=st.sampled_from(WORKERS))
    def a_worker_dies(self, worker: str) -> None:
        lost = self.held(worker)
        assert self.run(processing.reclaim(REALM, QUEUE, worker, known_dead=True)) == len(lost)
        self.model.breaker.settle("lost", [self.model.active.pop(job_id)[2] for job_id in lost])
        self.model.waiting += len(lost)

    @precondition(lambda self: self.model.breaker.state == "open")
    @rule()
    def time_passes(self) -> None:
        redis, scope, key = self.client._redis, self.group or "", "jf:{test/photos}:"
        packed = redis.hget(key + "circuit", scope)
        redis.hset(key + "circuit", scope, msgspec.msgpack.encode(msgspec.msgpack.decode(packed) | {"ends": 1}))
        redis.zadd(key + "group_parked", {scope: 1}, xx=True)
        self.model.due = True
        before = self.milliseconds()
        while self.milliseconds() == before:  # as in life, probes begin later than what ran when it opened
            pass

    def milliseconds(self) -> int:
        seconds, micros = self.client._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    @rule(really=st.integers(0, 9))
    def somebody_closes_it(self, really: int) -> None:
        if really:
            return
        closed = self.run(steering.close_circuit(REALM, QUEUE, self.group or ""))
        assert closed is (self.model.breaker.state != "closed")
        self.model.breaker.closes()

    @rule(really=st.integers(0, 9))
    def it_is_switched_off_and_on(self, really: int) -> None:
        if really:
            return
        self.run(steering.configure(REALM, QUEUE, {"breaker_percent": 0}))
        self.run(steering.configure(REALM, QUEUE, {"breaker_percent": PERCENT}))
        self.model.breaker.closes()

    @invariant()
    def redis_knows_the_circuit(self) -> None:
        breaker = self.model.breaker
        if breaker.state != "open":
            self.model.due = False
        reading = self.run(looking.inspect(REALM, QUEUE))
        seen = [(circuit.group, circuit.half_open, circuit.probing) for circuit in reading.circuits]
        half_open = breaker.state == "half-open"
        assert seen == (
            [] if breaker.state == "closed" else [(self.group or "", half_open, breaker.running * half_open)]
        )
        assert reading.circuits_open == len(seen)
        assert (reading.count("waiting"), reading.count("active")) == (self.model.waiting, len(self.model.active))


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
@pytest.mark.parametrize("scope", [None, "a"])
def test_a_circuit_in_any_order_of_events_agrees_with_the_model(redis_url: str, scope: str | None) -> None:
    CircuitMachine.client, CircuitMachine.group = SyncClient(redis_url), scope
    try:
        run_state_machine_as_test(
            CircuitMachine,
            settings=settings(
                max_examples=100,
                stateful_step_count=50,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            ),
        )
    finally:
        CircuitMachine.client.close()
