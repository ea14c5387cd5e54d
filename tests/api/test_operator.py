"""Operators of their own, each for one namespace: restarts, hand-over, other Redis servers."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from api.conftest import Operators
from api.stage import QUICK, Shop, decode, enqueue, pool_manifest, probe, queue_manifest, ready, start, until


async def test_a_queue_can_live_in_a_redis_of_its_own(shop: Shop, operators: Operators, redis_url: str) -> None:
    operators(url="")
    shop.apply(queue_manifest(redis={"urlSecretRef": {"name": "mine"}}), pool_manifest())
    await until("the missing Secret is named", lambda: ready(shop) == "False RedisUnknown")
    assert "names the Secret mine, which does not exist" in shop.condition("workerpool", "photos", "Ready")["message"]
    shop.kubectl("create", "secret", "generic", "mine", f"--from-literal=url={redis_url}")
    await until("it is found", lambda: ready(shop) == "True Scaling")
    await enqueue(shop, redis_url, 30)
    await until("and scaled by", lambda: shop.replicas() == 2)


async def test_of_two_operators_one_acts_and_the_other_takes_over(
    shop: Shop, operators: Operators, redis_url: str
) -> None:
    first = operators("first")
    await until("the first acts", lambda: first.said("this replica acts now"))
    second = operators("second")
    await until("the second watches along", lambda: probe(second.health_port, "/readyz") == 200)
    shop.apply(queue_manifest(), pool_manifest())
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 40)
    await until("the first scales", lambda: shop.replicas() == 2)
    decided = lambda: shop.get("workerpool", "photos")["status"].get("lastDecision", {})  # noqa: E731
    before = await until("it tells its decision", decided)
    first.signal(signal.SIGSTOP)  # as a frozen node: it gives nothing back
    await enqueue(shop, redis_url, 60)
    await until("the second takes over and scales", lambda: shop.replicas() == 5, 25)
    assert second.said("this replica acts now")
    await until("the decision is the second's", lambda: decided().get("term", 0) > before["term"])
    assert decided()["number"] > before["number"]
    told = await until("both told it", lambda: len(told := shop.events("ScalingUp")) == 2 and told)
    first.signal(signal.SIGCONT)
    await until("the first stands by", lambda: first.said("this replica stands by now"))
    assert decided()["term"] > before["term"], "what it had in mind when it was frozen is not written"
    assert shop.events("ScalingUp") == told
    second.end()
    await until("given back, the Lease is taken at once", lambda: first.log.read_text().count("acts now") == 2, 10)
    assert shop.replicas() == 5


async def test_a_restarted_operator_changes_nothing(shop: Shop, operators: Operators, redis_url: str) -> None:
    first = operators("first")
    shop.apply(queue_manifest(), pool_manifest(scaling=QUICK))
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 100)
    await until("it grows", lambda: shop.replicas() == 5)
    first.popen.kill()
    first.popen.wait()
    generation = shop.get("deployment", "photos")["metadata"]["generation"]
    second = operators("second")
    await until("the next one acts", lambda: second.said("this replica acts now"), 40)
    await enqueue(shop, redis_url, 1, delay=3600)
    await until("it has made a round", lambda: shop.get("jobqueue", "photos")["status"].get("delayed") == 1)
    after = shop.get("deployment", "photos")
    assert (after["spec"]["replicas"], after["metadata"]["generation"]) == (5, generation)


async def test_another_connection_reaches_the_pods_that_run(shop: Shop, operators: Operators, redis_url: str) -> None:
    first = operators("first")
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1))
    await until("the Deployment is there", lambda: shop.replicas() == 1)
    before = pod_annotations(shop)
    assert redis_url not in str(before)
    first.end()
    operators("second", url=f"{redis_url}?client_name=other")
    await until("a roll-out begins", lambda: pod_annotations(shop) != before)
    assert decode(shop.get("secret", "photos-jobqueue")["data"]["JOBFLEET_REDIS_URL"]).endswith("other")


async def test_another_url_of_the_operators_own_redis_is_taken_while_it_runs(
    shop: Shop, operators: Operators, redis_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "redis-url"
    file.write_text(redis_url)
    operators(url="", JOBFLEET_REDIS_URL_FILE=str(file))
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1))
    await until("the Deployment is there", lambda: shop.replicas() == 1)
    before = pod_annotations(shop)
    file.write_text(f"{redis_url}?client_name=other")
    await until("a roll-out begins", lambda: pod_annotations(shop) != before)
    assert decode(shop.get("secret", "photos-jobqueue")["data"]["JOBFLEET_REDIS_URL"]).endswith("other")
    await enqueue(shop, redis_url, 60)
    await until("it scales by the new one", lambda: shop.replicas() == 3)


def pod_annotations(shop: Shop) -> dict[str, str]:
    return shop.get("deployment", "photos")["spec"]["template"]["metadata"]["annotations"]


async def test_the_probes_answer(shop: Shop, operators: Operators) -> None:
    operator = operators()
    await until("it is ready", lambda: probe(operator.health_port, "/readyz") == 200)
    assert probe(operator.health_port, "/livez") == 200


NOBODY = """
import pwd

def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = getpwuid
"""


async def test_it_runs_under_a_uid_that_has_no_name(shop: Shop, operators: Operators, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOBODY)
    nameless = dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME"), "") | {"PYTHONPATH": str(tmp_path)}
    operator = operators(**nameless)
    shop.apply(queue_manifest(), pool_manifest(minReplicas=1))
    await until("the Deployment is there", lambda: shop.replicas() == 1 or not operator.alive)
    assert operator.alive, operator.log.read_text()


async def test_a_pool_can_be_explained(
    shop: Shop, operators: Operators, redis_url: str, api_server: Path, tmp_path: Path
) -> None:
    operators()
    shop.apply(queue_manifest(), pool_manifest())
    await until("the Deployment is there", lambda: shop.replicas() == 0)
    await enqueue(shop, redis_url, 60)
    await until("it is decided", lambda: shop.get("workerpool", "photos")["status"].get("lastDecision"))
    command = [sys.executable, "-m", "jobfleet", "explain", "wp/photos", "-n", shop.namespace]
    asked = start("explain", command, tmp_path, {"KUBECONFIG": str(api_server)})
    await until("it answers", lambda: not asked.alive)
    assert asked.said("from 0 to 3 workers, because\n  backlog 60 at 20 a worker asks for 3"), asked.log.read_text()
    assert asked.said("Replayed: these inputs ask for 3 workers, as was decided.")


async def test_a_pool_that_recommends_is_decided_about_and_left_alone(
    shop: Shop, operators: Operators, redis_url: str
) -> None:
    operators()
    shop.apply(queue_manifest(), pool_manifest(mode="Recommend", minReplicas=1))
    await until("the Deployment has its minimum", lambda: shop.replicas() == 1)
    await enqueue(shop, redis_url, 100)
    words = "from 1 to 5 workers: backlog 100 at 20 a worker asks for 5"
    await until("the size is told", lambda: words in shop.events("Recommended"))
    await until("the status says how", lambda: ready(shop) == "True Recommending")
    shop.kubectl("scale", "deployment", "photos", "--replicas=2")
    await until("the status sees it", lambda: shop.get("workerpool", "photos")["status"]["replicas"] == 2)
    assert shop.replicas() == 2, "the size is the user's"
