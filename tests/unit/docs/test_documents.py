"""What the documents say can be followed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from jobfleet import environment
from jobfleet_operator.models import JobQueueSpec

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "charts").rglob("*.md"),
    ]
)
PACKAGE = re.compile(r"[\w.-]+")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = [link for link in LINK.findall(document.read_text()) if "://" not in link]
    places = {target: (document.parent / target).resolve() for target in targets}
    missing = [target for target, place in places.items() if not place.exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_manifest_can_be_read(document: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL):
        list(yaml.safe_load_all(block))


def test_the_worker_page_names_every_variable_with_its_default() -> None:
    page = (ROOT / "docs" / "reference" / "worker.md").read_text()
    table = dict(re.findall(r"^\| `(JOBFLEET_\w+)` \| (.*?) \|", page, re.MULTILINE))
    values = environment.Environment()
    assert table.keys() == {
        environment.REDIS_URL,
        environment.REALM,
        environment.QUEUES,
        environment.CONCURRENCY,
        environment.WORKER,
        environment.POOL,
        environment.DRAIN_SECONDS,
        environment.HEALTH_PORT,
        environment.KEYS,
        environment.ACTOR,
    }
    assert table[environment.REDIS_URL] == f"`{values.redis_url}`"
    assert table[environment.REALM] == f"`{values.realm}`"
    assert table[environment.CONCURRENCY] == f"`{values.concurrency}`"
    assert table[environment.DRAIN_SECONDS] == f"`{values.drain_seconds}`"
    assert table[environment.HEALTH_PORT] == f"`{values.health_port}`, nowhere"


def test_the_product_image_has_every_extra_but_that_for_developers() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {PACKAGE.match(each)[0].lower() for name in extras.keys() - {"dev"} for each in extras[name]}
    locked = {PACKAGE.match(line)[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert wanted - locked == set()


def test_the_demo_prints_the_line_that_the_documents_promise() -> None:
    page = (ROOT / "docs" / "how-to" / "run-the-demo.md").read_text()
    (promised,) = re.findall(r"^ {4}(demo: .*)$", page, re.MULTILINE)
    assert promised == "demo: 500 enqueued, 500 completed, 0 failed, 0 lost; workers 0 -> 6 -> 0"
    pools = yaml.safe_load_all((ROOT / "examples" / "photos" / "photo-queue.yaml").read_text())
    (most,) = [each["spec"]["maxReplicas"] for each in pools if each["kind"] == "WorkerPool"]
    assert most == 6


def test_the_queues_of_the_page_about_steering_are_told_what_the_page_says() -> None:
    page = (ROOT / "docs" / "how-to" / "steer-queues.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    for manifest in (manifest for block in blocks for manifest in yaml.safe_load_all(block)):
        spec = JobQueueSpec.model_validate(manifest["spec"])
        assert spec.model_dump(by_alias=True, exclude_unset=True) == manifest["spec"]
