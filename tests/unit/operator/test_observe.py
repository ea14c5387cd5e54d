"""One look: what is known is joined, and the size decided."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from jobfleet.inspection import Circuit, QueueAddress, QueueSettings, QueueSnapshot
from jobfleet_operator import observe
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.look import with_status
from jobfleet_operator.memory import PoolMemory, QueueMemory, Sample
from jobfleet_operator.reconcile import PoolScene
from jobfleet_operator.world import Key
from unit.operator.people import PHOTOS, meta, pod_body, snapshot, worker

PLACE = Key("shop", "photos")
TEMPLATE = {"spec": {"containers": [{"name": "main", "image": "a"}]}}
URL = "redis://r/0"


def looked(
    seen: QueueSnapshot | None,
    memory: PoolMemory | None = None,
    *,
    measured: Sequence[Sample] = (),
    others: dict[QueueAddress, QueueSnapshot] | None = None,
    seconds: float = 100.0,
    **spec: Any,
) -> PoolScene:
    others = others or {}
    cache = Cache(lambda *_: None)
    cache.feed(Kind.QUEUES, {"metadata": meta("photos", uid="q"), "spec": spec.pop("queue", {})})
    for other in others:
        cache.feed(Kind.QUEUES, {"metadata": meta(other.queue), "spec": {}})
    body = {"metadata": meta("photos"), "spec": {"queues": ["photos"], "template": TEMPLATE} | spec}
    cache.feed(Kind.POOLS, body | {"status": spec.pop("status", {})})
    look = observe.Look(
        cache=cache, urls={PLACE: URL}, problems={}, snapshots=({PHOTOS: seen} if seen else {}) | others, outages={},
        seconds=seconds, now=datetime(2026, 3, 2, 12, tzinfo=UTC), term=0,
    )  # fmt: skip
    queues = {PLACE: QueueMemory("q", secret_url=URL, samples=deque(measured))}
    return observe.pool_scene(look, cache.pools[PLACE], memory or PoolMemory(), queues)


def decided(scene: PoolScene) -> tuple[int, str]:
    assert scene.decision is not None
    return scene.decision.size, scene.decision.reasons[0]


def test_workers_are_on_their_way_before_delayed_jobs_are_due() -> None:
    memory = PoolMemory()
    soon = snapshot(delayed=50, delayed_soon=41)
    assert decided(looked(snapshot(delayed=50)))[0] == 0
    assert decided(looked(soon, memory)) == (3, "backlog 0 and 41 due soon at 20 a worker asks for 3")
    assert memory.decision is not None
    assert (memory.decision["upcoming"], memory.decision["startSeconds"]) == (41, 10)
    assert decided(looked(soon, queue={"paused": True}))[0] == 0


def test_a_pool_grows_no_further_than_its_queue_lets_jobs_run() -> None:
    memory = PoolMemory()
    busy = snapshot(waiting=500, settings=QueueSettings(max_active=4))
    scene = looked(busy, memory, concurrency=2, maxReplicas=50)
    assert decided(scene)[0] == 2
    assert scene.decision is not None
    assert scene.decision.limit is not None
    assert (scene.decision.limit.reason, memory.limited) == ("QueueLimits", True)
    assert scene.decision.reasons[-1] == "limited to 2: no more jobs may run at a time: photos has maxActive 4"
    assert decided(looked(busy, concurrency=2, minReplicas=3))[0] == 3


def test_a_rate_bounds_a_pool_as_soon_as_a_run_time_is_measured() -> None:
    limited = snapshot(waiting=5000, settings=QueueSettings(rate_count=2))
    assert decided(looked(limited, maxReplicas=50))[0] == 50
    assert decided(looked(limited, maxReplicas=50, measured=[Sample(0, 0, 0, 0), Sample(9, 9, 10, 20_000)]))[0] == 5


def open_circuit(probes_in_ms: int, **more: Any) -> Circuit:
    now = snapshot().now_ms
    return Circuit("", False, now - 5000, now + probes_in_ms, 80, "OSError", **more)


def test_jobs_behind_an_open_circuit_do_not_make_a_pool_grow_until_probes_are_near() -> None:
    memory = PoolMemory(goal=1)
    late = {"waiting": 500, "delayed_due": 7, "delayed_soon": 30, "oldest_waiting_ms": 1}
    scaling = {"maxAgeSeconds": 5, "drainWithinSeconds": 5}
    scene = looked(snapshot(**late, circuits=(open_circuit(60_000),)), memory, scaling=scaling)
    assert scene.decision is not None
    assert (scene.decision.size, scene.decision.wanted) == (1, 0)
    assert "507 jobs behind an open circuit ask for none" in scene.decision.reasons
    assert scene.load is not None
    assert scene.load.behind_circuit == 507
    near = snapshot(**late, circuits=(open_circuit(11_000),))
    assert decided(looked(near)) == (1, "backlog 3 at 20 a worker asks for 1")
    assert decided(looked(snapshot(worker("a", busy=4), **late, active=4, circuits=(open_circuit(60_000),))))[0] == 4


def test_the_other_queues_of_a_pool_still_make_it_grow() -> None:
    films = QueueAddress("shop", "films")
    shut = snapshot(waiting=500, circuits=(open_circuit(60_000),))
    scene = looked(shut, queues=["photos", "films"], others={films: snapshot(waiting=100)})
    assert decided(scene)[0] == 5
    bound = snapshot(waiting=100, settings=QueueSettings(max_active=3))
    scene = looked(shut, queues=["photos", "films"], others={films: replace(bound, address=films)})
    assert decided(scene)[0] == 3


def test_the_jobs_of_groups_with_open_circuits_ask_for_nobody() -> None:
    now = snapshot().now_ms
    circuits = (
        Circuit("a", False, now, now + 60_000, 80, "OSError", waiting=400),
        Circuit("b", True, now, now, 80, "OSError", waiting=40, probing=1),
    )
    scene = looked(snapshot(waiting=500, circuits=circuits, circuits_open=2))
    assert scene.load is not None
    assert (scene.load.waiting, scene.load.behind_circuit) == (62, 438)
    late = {"oldest_waiting_ms": 1, "oldest_free_ms": now - 1000}
    shut = snapshot(waiting=403, **late, circuits=circuits[:1], circuits_open=1)
    scene = looked(shut, PoolMemory(goal=4), scaling={"maxAgeSeconds": 5})
    assert decided(scene)[0] == 4, "that they wait for long does not, either"


def test_how_far_ahead_to_look_is_as_long_as_the_slowest_pool_of_the_queue_takes() -> None:
    cache = Cache(lambda *_: None)
    for name, status in (("quick", {}), ("slow", {"startSeconds": 42})):
        body = {"metadata": meta(name), "spec": {"queues": ["photos"], "template": TEMPLATE}, "status": status}
        cache.feed(Kind.POOLS, body)
    quick = PoolMemory()
    quick.starts.lately.append(3.2)
    ahead = lambda: observe.ahead_ms(cache, PLACE, {Key("shop", "quick"): quick})  # noqa: E731
    assert ahead() == 44_000, "what an earlier operator measured counts until this one has"
    cache.feed(Kind.POOLS, {"metadata": meta("slow"), "spec": {}}, deleted=True)
    assert ahead() == 6_000


def test_a_pool_that_has_served_is_known_to_work() -> None:
    memory = PoolMemory()
    cache = Cache(lambda *_: None)
    cache.feed(Kind.POOLS, {"metadata": meta("photos"), "spec": {"queues": ["photos"], "template": TEMPLATE}})
    look = observe.Look(
        cache=cache, urls={}, problems={}, snapshots={}, outages={}, seconds=1.0, now=datetime(2026, 3, 2, tzinfo=UTC),
        term=0,
    )  # fmt: skip
    observe.note_pods(look, cache.pools[PLACE], memory)
    assert not memory.proven
    cache.feed(Kind.PODS, pod_body("photos-1"))
    observe.note_pods(look, cache.pools[PLACE], memory)
    assert memory.proven


def test_within_a_roll_out_a_restarted_operator_takes_over_the_wanted_size() -> None:
    """The Deployment has only those workers for which there was room beside the older ones, which hold jobs."""
    cache = Cache(lambda *_: None)
    body = {"metadata": meta("photos"), "spec": {"queues": ["photos"], "template": TEMPLATE}}
    cache.feed(Kind.POOLS, body | {"status": {"desiredReplicas": 4}})
    cache.feed(Kind.QUEUES, {"metadata": meta("photos", uid="q"), "spec": {}})
    spec = {"replicas": 1, "template": TEMPLATE}
    cache.feed(Kind.DEPLOYMENTS, {"metadata": meta("photos"), "spec": spec})
    old = [pod_body(f"o{i}") for i in range(4)]
    for one in old:
        one["metadata"]["ownerReferences"] = [{"kind": "WorkerPool", "controller": True, "uid": "uid-photos"}]
        cache.feed(Kind.PODS, one)
    workers = [worker(f"o{i}", busy=1) for i in range(4)]
    look = observe.Look(
        cache=cache, urls={PLACE: URL}, problems={}, snapshots={PHOTOS: snapshot(*workers, active=4)}, outages={},
        seconds=100.0, now=datetime(2026, 3, 2, 12, tzinfo=UTC), term=0,
    )  # fmt: skip
    scene = observe.pool_scene(look, cache.pools[PLACE], PoolMemory(), {PLACE: QueueMemory("q", secret_url=URL)})
    assert scene.goal_before == 4
    assert scene.load is not None
    assert (scene.load.backlog, scene.load.busy_slots) == (4, 4)


def test_a_floor_of_the_calendar_is_part_of_the_decision_and_of_its_record() -> None:
    memory = PoolMemory()
    floor = {"schedule": "0 12 * * *", "durationMinutes": 60, "minReplicas": 3}
    assert decided(looked(snapshot(), memory, scaling={"floors": [floor]}))[0] == 3
    assert memory.decision is not None
    assert (memory.decision["floor"], memory.decision["toReplicas"]) == (3, 3)


def test_a_floor_that_cannot_be_understood_is_said_and_the_pool_held() -> None:
    floor = {"schedule": "every day at 8", "durationMinutes": 60, "minReplicas": 3}
    scene = looked(snapshot(waiting=500), scaling={"floors": [floor]})
    assert scene.decision is None
    assert scene.trouble is not None
    assert scene.trouble[0] == "InvalidSpec"


def test_a_decision_in_the_status_that_cannot_be_read_is_no_obstacle() -> None:
    memory = PoolMemory()
    scene = looked(snapshot(), memory, status={"lastDecision": {"number": "seven"}})
    assert scene.decision is not None
    assert memory.decision is None


def test_why_a_pool_has_its_size_tells_also_what_bounds_it() -> None:
    memory = PoolMemory()
    assert looked(snapshot(waiting=500), memory, maxReplicas=6).decision is not None
    assert memory.why == "backlog 500 at 20 a worker asks for 25; limited to 6: that is the maximum"
    successor = PoolMemory()
    status = {"lastDecision": memory.decision}
    assert with_status(looked(snapshot(waiting=500), status=status).pool, successor).status == status
    assert successor.why == memory.why


def test_a_decision_in_the_status_without_reasons_is_no_obstacle() -> None:
    memory = PoolMemory()
    stored = {
        "number": 7, "time": "2026-01-01T00:00:00Z", "fromReplicas": 0, "toReplicas": 5, "reasons": [], "backlog": 100,
        "busySlots": 0, "minReplicas": 0, "maxReplicas": 10, "backlogPerWorker": 20, "concurrency": 1,
    }  # fmt: skip
    assert looked(snapshot(), memory, status={"lastDecision": stored}).decision is not None
    assert memory.decision is not None
    assert (memory.decision["number"], memory.why) == (7, "backlog 0 asks for 0")


def test_the_record_of_a_decision_tells_how_long_ago_the_last_step_for_the_age_of_a_job_was() -> None:
    memory, late = PoolMemory(goal=4), {"oldest_waiting_ms": snapshot().now_ms - 9000}
    spec = {"maxReplicas": 20, "scaling": {"maxAgeSeconds": 5, "backlogPerWorker": 10}}
    assert decided(looked(snapshot(waiting=20, **late), memory, **spec))[0] == 6
    assert memory.decision is not None
    assert memory.decision["agedSeconds"] is None
    assert decided(looked(snapshot(waiting=70, **late), memory, seconds=101.5, **spec))[0] == 7
    assert memory.decision["agedSeconds"] == 1


def test_a_fallback_is_part_of_the_decision_and_of_its_record() -> None:
    memory, spec = PoolMemory(goal=1), {"scaling": {"fallback": {"workers": 3, "afterSeconds": 30}}}
    assert decided(looked(None, memory, **spec)) == (1, "held at 1: the backlog is not known")
    assert decided(looked(None, memory, seconds=130.0, **spec))[0] == 3
    assert memory.decision is not None
    assert (memory.decision["backlog"], memory.decision["fallback"], memory.decision["toReplicas"]) == (None, 3, 3)
    assert memory.why == "the backlog has not been known for 30 s: spec.scaling.fallback asks for 3"
    assert decided(looked(snapshot(waiting=100), memory, seconds=131.0, **spec))[0] == 5
    assert memory.decision["fallback"] is None


def test_without_an_up_to_date_secret_there_is_no_connection() -> None:
    assert looked(snapshot()).connection is not None
    assert looked(None).load is None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (None, "NotFound"),
        ({"redis": {"urlSecretRef": {"name": "elsewhere"}}}, "OtherRedis"),
        ({}, None),
    ],
)
def test_a_dead_letter_queue_must_exist_in_the_same_redis(other: dict[str, Any] | None, reason: str | None) -> None:
    cache = Cache(lambda *_: None)
    cache.feed(Kind.QUEUES, {"metadata": meta("photos", uid="q"), "spec": {"deadLetterQueue": "graveyard"}})
    if other is not None:
        cache.feed(Kind.QUEUES, {"metadata": meta("graveyard", uid="g"), "spec": other})
    look = observe.Look(
        cache=cache, urls={PLACE: URL}, problems={}, snapshots={PHOTOS: snapshot()}, outages={},
        seconds=100.0, now=datetime(2026, 3, 2, 12, tzinfo=UTC), term=0,
    )  # fmt: skip
    scene = observe.queue_scene(look, cache.queues[PLACE], QueueMemory("q"), {})
    trouble = scene.facts.dead_letter_trouble
    assert (trouble[0] if trouble else None) == reason


def test_a_queue_that_cannot_be_read_holds_its_pool_and_says_why_in_redis_own_words() -> None:
    cache = Cache(lambda *_: None)
    cache.feed(Kind.QUEUES, {"metadata": meta("photos", uid="q"), "spec": {}})
    cache.feed(Kind.POOLS, {"metadata": meta("photos"), "spec": {"queues": ["photos"], "template": TEMPLATE}})
    look = observe.Look(
        cache=cache, urls={PLACE: URL}, problems={}, snapshots={}, outages={}, unreadable={PHOTOS: "WRONGTYPE"},
        seconds=100.0, now=datetime(2026, 3, 2, 12, tzinfo=UTC), term=0,
    )  # fmt: skip
    memory = PoolMemory(goal=3)
    queue = observe.queue_scene(look, cache.queues[PLACE], QueueMemory("q", secret_url=URL), {PLACE: memory})
    scene = observe.pool_scene(look, cache.pools[PLACE], memory, {PLACE: QueueMemory("q", secret_url=URL)})
    assert queue.facts.trouble == scene.trouble
    assert scene.trouble == ("QueueUnreadable", "queue photos cannot be read, its pools are held: WRONGTYPE")
    assert decided(scene)[0] == 3
    assert scene.connection is not None
    others = replace(look, outages={URL: "no answer"}, snapshots={PHOTOS: snapshot()})
    assert observe.queue_scene(others, cache.queues[PLACE], QueueMemory("q"), {}).facts.trouble is None, "it was read"
