"""What the watches tell of how they go."""

from __future__ import annotations

import pytest

from jobfleet_operator.adapters.login import FORBIDDEN
from jobfleet_operator.adapters.reach import SAID_AFTER_SECONDS, Reach
from jobfleet_operator.handlers import Watching

PODS = "/api/v1/namespaces/{}/pods"


@pytest.mark.parametrize(("namespaces", "ready"), [(("gone", "shop"), True), (("gone",), False)])
def test_one_of_several_namespaces_that_may_not_be_read_is_no_trouble_whatever_came_before(
    namespaces: tuple[str, ...], ready: bool
) -> None:
    now = 0.0
    reach = Reach(clock=lambda: now)
    watching = Watching(lambda *_: None, lambda: None, reach, namespaces, "one", 70.0)
    watching._met(PODS.format("gone"), True, "no answer: Cannot connect")
    watching._met(PODS.format("shop"), True, "no answer: Cannot connect")
    for _ in range(3):
        now += SAID_AFTER_SECONDS
        watching._met(PODS.format("gone"), True, FORBIDDEN)
        watching._met(PODS.format("shop"), True, "")
    assert (reach.trouble() == "") is ready
