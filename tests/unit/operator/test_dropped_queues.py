"""Workers of a queue that their pool does not name any more: seen, told and left to finish where they are."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

from jobfleet.inspection import Inspector, QueueAddress, QueueSettings, QueueSnapshot
from jobfleet_operator import actions, resources
from jobfleet_operator.adapters.kube import Kube
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.apply import Applier, Errand
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.errands import Errands
from jobfleet_operator.leader import Alone
from jobfleet_operator.loop import Loop
from jobfleet_operator.names import WORKER_POOL
from jobfleet_operator.reconcile import PoolScene, plan_pool
from jobfleet_operator.world import Key, QueueResource, Subject
from unit.operator.people import CONNECTION, PHOTOS, deployment, meta, older, pod, pod_body, pool, snapshot, worker
from unit.operator.test_reconcile import kinds, scene

FILMS = QueueAddress("shop", "films")


def carried_on(seen: PoolScene, rounds: int = 3) -> list[actions.Action]:
    """All that is planned in so many rounds, each Drain noted as told."""
    done: list[actions.Action] = []
    for _ in range(rounds):
        plan = plan_pool(seen)
        for action in plan:
            if isinstance(action, actions.Drain):
                seen.memory.tell(action.address, action.workers, seen.seconds)
        done += plan
    return done


def test_old_workers_of_a_queue_that_the_pool_does_not_name_any_more_finish_their_jobs() -> None:
    old, new = [older("old0", "films"), older("old1", "films")], [pod("n0"), pod("n1")]
    workers = {one.name: [(PHOTOS, worker(one.name))] for one in new}
    workers |= {"old0": [(FILMS, worker("old0", busy=1))], "old1": [(FILMS, worker("old1"))]}
    rolling = scene(size=2, pods=[*old, *new], workers=workers)
    plan = carried_on(rolling)
    assert actions.Drain(FILMS, ("old0.1", "old1.1")) in plan or actions.Drain(FILMS, ("old1.1", "old0.1")) in plan
    assert not [one for one in plan if isinstance(one, actions.RemovePod)], "Redis has not confirmed it yet"
    drained = {
        "old0": [(FILMS, worker("old0", busy=1, draining=True))],
        "old1": [(FILMS, worker("old1", draining=True))],
    }
    gone = [
        one for one in carried_on(replace(rolling, workers=workers | drained)) if isinstance(one, actions.RemovePod)
    ]
    assert {one.pod.key.name for one in gone} == {"old1"}


def test_an_old_pod_whose_worker_is_not_there_is_told_in_the_queues_that_it_was_made_for() -> None:
    old, new = older("old0", "films", "photos"), pod("n0")
    rolling = scene(size=1, pods=[old, new], workers={"n0": [(PHOTOS, worker("n0"))]})
    first = plan_pool(rolling)
    assert {actions.Drain(PHOTOS, ("old0",)), actions.Drain(FILMS, ("old0",))} <= {
        one for one in first if isinstance(one, actions.Drain)
    }
    rolling.memory.tell(PHOTOS, ["old0"], rolling.seconds)
    assert "RemovePod" not in kinds(plan_pool(rolling))
    rolling.memory.tell(FILMS, ["old0"], rolling.seconds)
    assert "RemovePod" in kinds(plan_pool(rolling))


def test_of_two_queues_one_is_dropped_and_its_jobs_count_all_the_same() -> None:
    old, new = older("old0", "films", "photos"), pod("n0")
    twice = [(PHOTOS, worker("old0", draining=True)), (FILMS, worker("old0", busy=1, draining=True))]
    rolling = scene(size=1, pods=[old, new], workers={"n0": [(PHOTOS, worker("n0"))], "old0": twice})
    assert "RemovePod" not in kinds(carried_on(rolling))


def test_a_scale_down_before_the_old_pods_are_released_interrupts_none_of_a_dropped_queue() -> None:
    fleet = [replace(pod(f"p{i}"), queues=("films",)) for i in range(2)]
    workers = {one.name: [(FILMS, worker(one.name, busy=1, draining=True))] for one in fleet}
    shrinking = scene(size=0, before=2, pods=fleet, workers=workers, deployment=deployment(2))
    assert kinds(carried_on(shrinking)) == ["Note"] * 3, "only the decision is told"


def test_a_pod_whose_queue_cannot_be_read_is_kept_while_it_is_dark() -> None:
    old, new = older("old0", "films"), pod("n0")
    rolling = scene(
        size=1, pods=[old, new], workers={"n0": [(PHOTOS, worker("n0"))]},
        unread=frozenset({FILMS}), dark=frozenset({"old0"}),
    )  # fmt: skip
    assert kinds(carried_on(rolling)) == []
    (patch,) = (action for action in plan_pool(rolling) if isinstance(action, actions.PatchStatus))
    (found,) = (one for one in patch.status["conditions"] if one["type"] == "RolledOut")
    assert "of 1 cannot be seen what they hold: a queue that they were made for cannot be read" in found["message"]
    assert kinds(plan_pool(replace(rolling, dark=frozenset()))) == ["RemovePod"]


def test_a_roll_out_that_nobody_has_settled_takes_no_worker_that_was_not_told() -> None:
    two = [pod("p0"), replace(pod("p1"), revision="r2")]
    workers = {one.name: [(PHOTOS, worker(one.name))] for one in two}
    unsettled = replace(deployment(2), settled=False)
    rolling = scene(size=0, before=2, pods=two, workers=workers, deployment=unsettled)
    assert "SetReplicas" not in kinds(carried_on(rolling))


NEAR, FAR = "redis://near/0", "redis://far/0"


class Places:
    """Which Redis each JobQueue lives in."""

    def __init__(self, **urls: str) -> None:
        self._urls = urls

    def resolve(self, queue: QueueResource) -> tuple[str | None, str]:
        return self._urls[queue.key.name], ""

    recognise = RedisUrls(Kube(), FAR, lambda _: None).recognise


class Servers:
    """Redis servers by URL, and what is in them."""

    def __init__(self) -> None:
        self.holds: dict[str, dict[QueueAddress, QueueSnapshot]] = {NEAR: {PHOTOS: snapshot()}, FAR: {}}

    async def read(self, url: str, ahead_ms: dict[QueueAddress, int]) -> dict[QueueAddress, QueueSnapshot]:
        return {place: self.holds[url][place] for place in ahead_ms}

    def outage(self, _: str) -> str:
        return ""

    def unreadable(self, _: str) -> dict[QueueAddress, str]:
        return {}

    def at(self, url: str) -> Inspector:
        return cast("Inspector", url)


class Sent:
    """Errands that are noted and not run."""

    def __init__(self) -> None:
        self.last: Errand | None = None

    def busy(self, _: Subject) -> bool:
        return False

    def send(self, _: Subject, errand: Errand) -> None:
        self.last = errand


class Yard:
    """A pool of the queue photos in one Redis, with a Pod that was made for films in another one."""

    def __init__(self) -> None:
        self.cache, self.servers, self.sent = Cache(lambda *_: None), Servers(), Sent()
        kube, urls = Kube(), cast("RedisUrls", Places(photos=NEAR, films=FAR))
        applier = Applier(kube, self.cache, acting=lambda: True, reporter="me")
        self.loop = Loop(self.cache, urls, cast("Redises", self.servers), applier, Alone())
        self.loop._errands = cast("Errands", self.sent)
        for name in ("photos", "films"):
            self.cache.feed(Kind.QUEUES, {"metadata": meta(name), "spec": {}})
        subject = pool(queues=["films"])
        assert subject.spec is not None
        self.cache.feed(Kind.POOLS, {"metadata": meta("photos"), "spec": pool_spec("photos")})
        self.pod = pod_body("old0")
        template = resources.pod_template(subject, subject.spec, resources.connection(FAR, "shop"))
        self.pod["spec"] |= template["spec"]
        self.pod["metadata"]["annotations"] |= template["metadata"]["annotations"]
        self.pod["metadata"]["ownerReferences"] = [{"kind": WORKER_POOL, "controller": True, "uid": "uid-photos"}]
        self.cache.feed(Kind.PODS, self.pod)
        self.cache.feed(Kind.DEPLOYMENTS, deployment_body())
        self.work(busy=1)

    def work(self, **more: Any) -> None:
        seen = snapshot(worker("old0", **more), active=more.get("busy", 0))
        self.servers.holds[FAR][FILMS] = replace(seen, address=FILMS)

    def round(self) -> Errand:
        asyncio.run(self.loop._round({Subject(WORKER_POOL, Key("shop", "photos"))}, sweep=False))
        assert self.sent.last is not None
        return self.sent.last


def pool_spec(*queues: str) -> dict[str, Any]:
    return {"queues": list(queues), "template": {"spec": {"containers": [{"name": "main", "image": "a"}]}}}


def deployment_body() -> dict[str, Any]:
    """The pool's Deployment, with no Pods of its own."""
    subject = pool()
    assert subject.spec is not None
    body = resources.deployment(subject, subject.spec, 0, CONNECTION)
    return body | {"metadata": body["metadata"] | meta("photos"), "status": {"observedGeneration": 1}}


def test_a_worker_in_another_redis_is_told_there() -> None:
    yard = Yard()
    yard.work()
    errand = yard.round()
    assert actions.Drain(FILMS, ("old0.1",)) in errand.plan
    assert (errand.at(FILMS), errand.at(PHOTOS)) == (FAR, NEAR)
    assert "RemovePod" not in kinds(list(errand.plan))
    yard.work(draining=True)
    assert "RemovePod" in kinds(list(yard.round().plan))


def test_what_it_still_runs_needs_a_worker_and_what_waits_there_does_not() -> None:
    yard = Yard()
    yard.servers.holds[FAR][FILMS] = replace(yard.servers.holds[FAR][FILMS], waiting=500)
    yard.round()
    memory = yard.loop._memory.pools[Key("shop", "photos")]
    assert memory.decision is not None
    assert (memory.goal, memory.decision["backlog"], memory.decision["busySlots"]) == (1, 1, 1)


def test_the_pool_is_bound_by_the_queues_that_it_names_and_what_its_old_workers_hold() -> None:
    yard = Yard()
    yard.servers.holds[NEAR][PHOTOS] = snapshot(waiting=100, settings=QueueSettings(max_active=1))
    yard.round()
    assert yard.loop._memory.pools[Key("shop", "photos")].goal == 2


def test_a_queue_whose_jobqueue_is_gone_is_read_where_its_pods_are_connected_to() -> None:
    yard = Yard()
    yard.cache.feed(Kind.QUEUES, {"metadata": meta("films"), "spec": {}}, deleted=True)
    yard.work(draining=True)
    assert "RemovePod" in kinds(list(yard.round().plan))
    yard.work(draining=True, busy=1)
    assert "RemovePod" not in kinds(list(yard.round().plan))
    yard.pod["metadata"] |= {"resourceVersion": "11"}
    yard.pod["metadata"]["annotations"] |= {"jobfleet.dev/connection": "another"}
    yard.cache.feed(Kind.PODS, yard.pod)
    assert "RemovePod" not in kinds(list(yard.round().plan)), "its Redis is not known here"


def test_jobs_of_a_worker_whose_pod_is_gone_come_back_at_once() -> None:
    yard = Yard()
    yard.round()
    yard.cache.synced = True
    yard.cache.feed(Kind.PODS, yard.pod, deleted=True)
    reclaim = actions.Reclaim(FILMS, Key("shop", "old0"), ("old0.1",))
    assert reclaim in yard.round().plan
    yard.servers.holds[FAR][FILMS] = replace(snapshot(), address=FILMS)
    yard.round()
    assert yard.loop._memory.pools[Key("shop", "photos")].queues == frozenset(), "and then it has no more to do with it"
