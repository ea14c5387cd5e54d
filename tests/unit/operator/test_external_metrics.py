"""What an HPA gets to read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobfleet_operator import external_metrics as metrics
from jobfleet_operator.external_metrics import BadSelectorError, selects
from jobfleet_operator.world import read_pool
from unit.operator.people import meta, snapshot


@pytest.mark.parametrize(
    ("selector", "taken"),
    [
        ("", True),
        ("queue=photos", True),
        ("queue==photos", True),
        ("queue=mail", False),
        ("queue!=mail", True),
        ("queue in (mail, photos)", True),
        ("queue notin (mail,photos)", False),
        ("queue=photos,queue!=photos", False),
        ("team=a", False),
    ],
)
def test_a_selector_takes_what_it_names(selector: str, taken: bool) -> None:
    assert selects(selector, {"queue": "photos"}) is taken


@pytest.mark.parametrize("selector", ["queue", "!queue", "queue>3", "queue=a b", "(queue)"])
def test_a_selector_of_another_form_is_refused_with_a_sentence(selector: str) -> None:
    with pytest.raises(BadSelectorError, match="write queue=NAME"):
        selects(selector, {"queue": "photos"})


def test_the_values_are_those_of_the_queue_and_the_pool() -> None:
    seen = snapshot(waiting=3, active=2, delayed_due=1, now_ms=50_000, oldest_waiting_ms=20_500)
    assert metrics.queue_value(metrics.QUEUE_BACKLOG, "photos", seen).value == 6
    assert metrics.queue_value(metrics.QUEUE_OLDEST, "photos", seen).value == 29
    assert metrics.queue_value(metrics.QUEUE_OLDEST, "photos", snapshot()).value == 0
    assert metrics.pool_value(read_pool({"metadata": meta("photos")})) is None
    pool = metrics.pool_value(read_pool({"metadata": meta("photos"), "status": {"desiredReplicas": 7}}))
    assert pool == metrics.Value("jobfleet_pool_wanted_workers", {"pool": "photos"}, 7)
    (item,) = metrics.value_list([pool], datetime(2026, 1, 1, tzinfo=UTC))["items"]
    assert (item["value"], item["timestamp"]) == ("7", "2026-01-01T00:00:00Z")
