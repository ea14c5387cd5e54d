"""What the chart makes of its values."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from itertools import pairwise

import pytest
import yaml
from cryptography import x509

from fixtures.chart import CHART, Chart, Manifest, Rendering
from jobfleet_operator import names
from jobfleet_operator.settings import Settings

ADMINISTRATOR = CHART.parents[1] / "docs" / "how-to" / "namespaced" / "administrator.yaml"
EXTERNAL = {
    "redis": {"embedded": {"enabled": False}, "external": {"urlSecretRef": {"name": "shop-redis", "key": "uri"}}}
}
VARIANTS = {
    "embedded": {},
    "external": EXTERNAL,
    "namespaced": {"watchNamespaces": ["shop", "lab"]},
    "two operators": {"operator": {"replicas": 2}},
    "quotas": {"workerQuota": {"cluster": 100, "namespaces": {"shop": 20, "*": 50}}},
    "external metrics": {"externalMetrics": {"enabled": True}},
    "everything": {
        "externalMetrics": {"enabled": True},
        "operator": {"replicas": 2},
        "redis": {"embedded": {"persistence": {"enabled": True}}},
    },
    "persistent": {"redis": {"embedded": {"persistence": {"enabled": True, "storageClassName": "fast"}}}},
}


TEXTS = {"name", "namespace", "secretName", "serviceName", "serviceAccountName", "key", "value"} | {
    f"app.kubernetes.io/{label}" for label in ("name", "instance", "version")
}


def numbers(node: object, key: str = "") -> list[str]:
    """The keys under which there is something else than text, at whatever depth."""
    match node:
        case dict():
            return [found for key, below in node.items() for found in numbers(below, key)]
        case list():
            return [found for each in node for found in numbers(each, key)]
        case _:
            return [] if isinstance(node, str) else [key]


def environment(pod: Manifest) -> dict[str, Manifest]:
    (container,) = pod["spec"]["containers"]
    return {variable["name"]: variable for variable in container["env"]}


def operator_environment(rendering: Rendering) -> dict[str, Manifest]:
    return environment(rendering.one("Deployment", "jobfleet")["spec"]["template"])


def own_redis(rendering: Rendering) -> tuple[str, str]:
    """Secret and key of the URL in the file that the operator reads."""
    pod = rendering.one("Deployment", "jobfleet")["spec"]["template"]["spec"]
    secret = next(volume["secret"] for volume in pod["volumes"] if volume["name"] == "redis")
    (mount,) = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "redis"]
    (item,) = secret["items"]
    file = operator_environment(rendering)["JOBFLEET_REDIS_URL_FILE"]["value"]
    assert file == f"{mount['mountPath']}/{item['path']}"
    return secret["secretName"], item["key"]


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS.keys())
def test_lint_finds_nothing(chart: Chart, values: Manifest) -> None:
    answer = chart.lint(values)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_pod_meets_the_restricted_standard_and_writes_to_no_root(chart: Chart, values: Manifest) -> None:
    for pod in chart.render(values).pods():
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"livenessProbe", "readinessProbe", "startupProbe"} <= container.keys()
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_selector_finds_the_pods_that_it_means(chart: Chart, values: Manifest) -> None:
    rendering = chart.render(values)
    pods = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["metadata"]["labels"] for pod in rendering.pods()
    }
    for kind, path in (
        ("Service", lambda spec: spec["selector"]),
        ("NetworkPolicy", lambda spec: spec["podSelector"]["matchLabels"]),
        ("PodDisruptionBudget", lambda spec: spec["selector"]["matchLabels"]),
        ("Deployment", lambda spec: spec["selector"]["matchLabels"]),
        ("StatefulSet", lambda spec: spec["selector"]["matchLabels"]),
    ):
        for manifest in rendering.all(kind):
            wanted = path(manifest["spec"])
            component = manifest["metadata"]["labels"]["app.kubernetes.io/component"]
            assert wanted.items() <= pods[component].items(), (kind, wanted)
            assert wanted["app.kubernetes.io/component"] == component


def test_the_operator_may_do_only_what_it_needs(chart: Chart) -> None:
    role = chart.render().one("ClusterRole", "jobfleet-system-jobfleet")
    allowed = {
        f"{resource}.{group}": rule["verbs"]
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert allowed == {
        "jobqueues.jobfleet.dev": ["get", "list", "watch"],
        "workerpools.jobfleet.dev": ["get", "list", "watch"],
        "jobqueues/status.jobfleet.dev": ["patch"],
        "workerpools/status.jobfleet.dev": ["patch"],
        "deployments.apps": ["get", "list", "watch", "create", "patch"],
        "replicasets.apps": ["list", "delete"],
        "pods.": ["get", "list", "watch", "patch", "delete"],
        "poddisruptionbudgets.policy": ["get", "create", "patch", "delete"],
        "secrets.": ["get", "create", "patch"],
        "events.": ["create"],
    }


def test_people_may_do_what_an_administrator_of_teams_lets_them_but_for_the_operators_status(chart: Chart) -> None:
    """Teams pass the right to write a status on to their own operator; here that is the release's."""
    given = {manifest["metadata"]["name"]: manifest for manifest in yaml.safe_load_all(ADMINISTRATOR.read_text())}
    for kind in ("edit", "view"):
        role = chart.render().one("ClusterRole", f"jobfleet-system-jobfleet-{kind}")
        assert given[f"jobfleet-{kind}"]["metadata"]["labels"].items() <= role["metadata"]["labels"].items()
        written = {f"{name}/status" for name in ("jobqueues", "workerpools")} if kind == "edit" else set()
        wanted = {(name, *verbs) for name, *verbs in rights(given[f"jobfleet-{kind}"]) if name not in written}
        assert set(rights(role)) == wanted
    assert len(chart.render({"aggregateRoles": False}).all("ClusterRole")) == 1


def rights(role: Manifest) -> list[tuple[str, ...]]:
    return [(resource, *rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]]


def test_named_namespaces_get_a_role_each_and_the_cluster_gets_none(chart: Chart) -> None:
    rendering = chart.render(VARIANTS["namespaced"])
    assert not rendering.all("ClusterRole")
    assert not rendering.all("ClusterRoleBinding")
    served = [role["metadata"]["namespace"] for role in rendering.all("Role") if role["metadata"]["name"] == "jobfleet"]
    bound = [each for each in rendering.all("RoleBinding") if each["roleRef"]["name"] == "jobfleet"]
    assert served == [each["metadata"]["namespace"] for each in bound] == ["shop", "lab"]
    assert {each["subjects"][0]["namespace"] for each in bound} == {"jobfleet-system"}
    assert operator_environment(rendering)["JOBFLEET_NAMESPACES"]["value"] == "shop,lab"


def test_the_lease_goes_with_the_release_and_is_the_operators_to_fill_in(chart: Chart) -> None:
    lease = chart.render().one("Lease", names.LEASE)
    assert lease["metadata"]["namespace"] == "jobfleet-system"
    assert "spec" not in lease


def test_all_namespaces_are_an_empty_list_to_the_operator(chart: Chart) -> None:
    assert operator_environment(chart.render())["JOBFLEET_NAMESPACES"]["value"] == ""


def test_quotas_reach_the_operator_as_it_reads_them(chart: Chart) -> None:
    assert not {name for name in operator_environment(chart.render()) if "QUOTA" in name}
    rendering = chart.render({"workerQuota": {"cluster": 0, "namespaces": {"shop": 20, "*": 50}}})
    given = {name: one["value"] for name, one in operator_environment(rendering).items() if "QUOTA" in name}
    quotas = Settings.from_env(given).quotas
    assert (quotas.cluster, quotas.of("shop"), quotas.of("bank")) == (0, 20, 50)
    assert "'Shop' does not match" in chart.refusal({"workerQuota": {"namespaces": {"Shop": 1}}})


def test_external_metrics_are_served_with_a_certificate_that_the_api_server_can_check(chart: Chart) -> None:
    assert not chart.render().all("APIService")
    rendering = chart.render({"externalMetrics": {"enabled": True}})
    secret = rendering.one("Secret", "jobfleet-metrics")["data"]
    (api,) = rendering.all("APIService")
    assert api["spec"]["caBundle"] == secret["ca.crt"]
    authority = x509.load_pem_x509_certificate(b64decode(secret["ca.crt"]))
    certificate = x509.load_pem_x509_certificate(b64decode(secret["tls.crt"]))
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["jobfleet-metrics.jobfleet-system.svc"]
    service = rendering.one("Service", api["spec"]["service"]["name"])
    pod = rendering.one("Deployment", "jobfleet")["spec"]["template"]["spec"]
    (port,) = [one for one in pod["containers"][0]["ports"] if one["name"] == service["spec"]["ports"][0]["targetPort"]]
    assert operator_environment(rendering)["JOBFLEET_EXTERNAL_METRICS_PORT"]["value"] == str(port["containerPort"])
    assert pod["volumes"][1]["secret"] == {"secretName": "jobfleet-metrics", "optional": True}
    (binding,) = [one for one in rendering.all("RoleBinding") if one["metadata"]["namespace"] == "kube-system"]
    assert binding["roleRef"]["name"] == "extension-apiserver-authentication-reader"


def test_a_certificate_of_ones_own_needs_its_authority(chart: Chart) -> None:
    mine: dict[str, object] = {"enabled": True, "existingSecret": "mine"}
    assert "externalMetrics.caBundle is not" in chart.refusal({"externalMetrics": mine})
    rendering = chart.render({"externalMetrics": mine | {"caBundle": "PEM"}})
    assert rendering.all("APIService")[0]["spec"]["caBundle"] == b64encode(b"PEM").decode()
    assert "jobfleet-metrics" not in [one["metadata"]["name"] for one in rendering.all("Secret")]


def test_the_embedded_redis_and_the_operator_share_a_secret_that_was_made_up(chart: Chart) -> None:
    rendering = chart.render()
    secret = rendering.one("Secret", "jobfleet-redis")["stringData"]
    assert re.fullmatch(r"[A-Za-z0-9]{32}", secret["password"])
    # Workers of every namespace get this URL, so it has to name the Service's namespace.
    assert secret["url"] == f"redis://:{secret['password']}@jobfleet-redis.jobfleet-system.svc:6379/0"
    redis = rendering.one("StatefulSet", "jobfleet-redis")["spec"]["template"]
    assert environment(redis)["REDIS_PASSWORD"]["valueFrom"]["secretKeyRef"] == {
        "name": "jobfleet-redis",
        "key": "password",
    }
    assert own_redis(rendering) == ("jobfleet-redis", "url")


def test_jobs_fill_redis_before_redis_fills_its_container(chart: Chart) -> None:
    redis = chart.render().one("StatefulSet", "jobfleet-redis")["spec"]["template"]["spec"]["containers"][0]
    given = dict(pairwise(redis["args"]))
    assert given["--maxmemory-policy"] == "noeviction"
    most, limit = given["--maxmemory"], redis["resources"]["limits"]["memory"]
    assert (most[-2:], limit[-2:]) == ("mb", "Mi")
    assert int(most[:-2]) <= int(limit[:-2]) * 2 / 3
    (other,) = chart.render({"redis": {"embedded": {"maxMemory": "2gb"}}}).all("StatefulSet")
    assert "2gb" in other["spec"]["template"]["spec"]["containers"][0]["args"]


def test_no_password_stands_in_a_pod(chart: Chart) -> None:
    rendering = chart.render()
    password = rendering.one("Secret", "jobfleet-redis")["stringData"]["password"]
    assert not any(password in str(pod) for pod in rendering.pods())


def test_a_secret_of_the_users_own_is_used_and_none_is_made(chart: Chart) -> None:
    rendering = chart.render({"redis": {"embedded": {"existingSecret": "mine"}}})
    assert not rendering.all("Secret")
    assert own_redis(rendering) == ("mine", "url")


def test_an_external_redis_leaves_nothing_of_the_embedded_one(chart: Chart) -> None:
    rendering = chart.render(EXTERNAL)
    assert own_redis(rendering) == ("shop-redis", "uri")
    assert not any(rendering.all(kind) for kind in ("StatefulSet", "Secret", "Service"))
    assert len(rendering.all("NetworkPolicy")) == 1


def test_jobs_live_in_the_pod_unless_a_volume_is_claimed(chart: Chart) -> None:
    spec = chart.render().one("StatefulSet", "jobfleet-redis")["spec"]
    assert spec["template"]["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}]
    assert "volumeClaimTemplates" not in spec
    spec = chart.render(VARIANTS["persistent"]).one("StatefulSet", "jobfleet-redis")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    assert "volumes" not in spec["template"]["spec"]


def test_a_disruption_budget_is_made_for_two_operators_only(chart: Chart) -> None:
    assert not chart.render().all("PodDisruptionBudget")
    (budget,) = chart.render(VARIANTS["two operators"]).all("PodDisruptionBudget")
    assert budget["spec"]["minAvailable"] == 1
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    off = {"operator": {"replicas": 2, "podDisruptionBudget": {"enabled": False}}}
    assert not chart.render(off).all("PodDisruptionBudget")


def test_labels_of_ones_own_stand_beside_those_of_the_chart_and_do_not_replace_them(chart: Chart) -> None:
    own = {"team": "shop", "app.kubernetes.io/component": "mine", "app.kubernetes.io/name": "mine"}
    plain = chart.render().one("Deployment", "jobfleet")["spec"]["template"]["metadata"]["labels"]
    labelled = chart.render({"operator": {"podLabels": own}}).one("Deployment", "jobfleet")
    assert labelled["spec"]["template"]["metadata"]["labels"] == plain | {"team": "shop"}


@pytest.mark.parametrize("served", [[], ["123"]], ids=["all namespaces", "named ones"])
def test_names_that_yaml_takes_for_numbers_are_text(chart: Chart, served: list[str]) -> None:
    values = {"nameOverride": "7", "watchNamespaces": served, "serviceAccount": {"name": "8"}} | VARIANTS["everything"]
    rendering = chart.render(values, release="123", namespace="2024")
    for manifest in rendering.manifests:
        assert not [place for place in numbers(manifest) if place in TEXTS], manifest
    assert all(re.match("[a-z]", each["metadata"]["name"]) for each in rendering.all("Service"))


def test_no_name_of_a_service_has_the_dots_of_the_release(chart: Chart) -> None:
    names = [each["metadata"]["name"] for each in chart.render(release="shop.v2").all("Service")]
    assert names == ["shop-v2-jobfleet-redis"]


def test_network_policies_can_be_left_out(chart: Chart) -> None:
    assert not chart.render({"networkPolicy": {"enabled": False}}).all("NetworkPolicy")


def test_the_operator_reaches_names_the_api_server_and_redis_and_nothing_else(chart: Chart) -> None:
    policy = chart.render({"networkPolicy": {"redisPorts": [6380]}}).one("NetworkPolicy", "jobfleet")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [sorted({port["port"] for port in rule["ports"]}) for rule in policy["egress"]] == [
        [53],
        [443, 6443],
        [6380],
    ]


def test_the_resource_definitions_come_with_the_release_and_stay_after_it(chart: Chart) -> None:
    definitions = chart.render().all("CustomResourceDefinition")
    assert [each["metadata"]["name"] for each in definitions] == ["jobqueues.jobfleet.dev", "workerpools.jobfleet.dev"]
    assert all(each["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"} for each in definitions)
    gone = chart.render({"crds": {"keep": False}}).all("CustomResourceDefinition")
    assert not any(each["metadata"].get("annotations") for each in gone)
    assert not chart.render({"crds": {"install": False}}).all("CustomResourceDefinition")


def test_a_digest_wins_over_the_tag(chart: Chart) -> None:
    digest = "sha256:" + "a" * 64
    rendering = chart.render({"image": {"repository": "registry.example/jobfleet", "tag": "9", "digest": digest}})
    (container,) = rendering.one("Deployment", "jobfleet")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example/jobfleet@{digest}"


@pytest.mark.parametrize(
    ("values", "names", "says"),
    [
        ({"redis": {"embedded": {"enabled": False}}}, "redis.external.urlSecretRef.name", "There is no Redis"),
        (
            {"redis": {"external": {"urlSecretRef": {"name": "mine"}}}},
            "redis.embedded.enabled",
            "set redis.embedded.enabled=false to use your own Redis",
        ),
        ({"operator": {"replicas": 0}}, "/operator/replicas", "minimum"),
        ({"operator": {"replicas": "2"}}, "/operator/replicas", "integer"),
        ({"operator": {"logFormat": "xml"}}, "/operator/logFormat", "text"),
        ({"operator": {"replica": 2}}, "/operator", "replica"),
        ({"fullnameOverride": "7"}, "/fullnameOverride", "pattern"),
        ({"watchNamespaces": ["Shop"]}, "/watchNamespaces/0", "pattern"),
        ({"watchNamespaces": "shop"}, "/watchNamespaces", "array"),
        ({"image": {"tag": 7.10}}, "/image/tag", "string"),
        ({"image": {"digest": "sha256:abc"}}, "/image/digest", "pattern"),
        ({"redis": {"embedded": {"persistence": {"size": "big"}}}}, "/redis/embedded/persistence/size", "pattern"),
        ({"redis": {"embedded": {"maxMemory": "320Mi"}}}, "/redis/embedded/maxMemory", "pattern"),
        ({"networkPolicy": {"redisPorts": [70000]}}, "/networkPolicy/redisPorts/0", "maximum"),
        ({"nonsense": True}, "nonsense", "not allowed"),
        ({"workerQuota": None}, "workerQuota", "missing"),
        ({"externalMetrics": None}, "externalMetrics", "missing"),
    ],
)
def test_wrong_values_are_refused_with_their_place(chart: Chart, values: Manifest, names: str, says: str) -> None:
    refusal = chart.refusal(values)
    assert names in refusal
    assert says in refusal
