"""The example, as the demo performs it: from zero workers to thumbnails and back."""

from __future__ import annotations

from photo_demo.stage import perform

from .product import Product

PHOTOGRAPHS = 60


def test_photographs_go_through_a_fleet_that_comes_from_zero_and_goes_back(installed: Product) -> None:
    kubectl = installed.kubectl.within("photos-test")
    verdict, times = perform(kubectl, PHOTOGRAPHS)
    assert verdict.problems(PHOTOGRAPHS) == []
    assert verdict.summary == "demo: 60 enqueued, 60 completed, 0 failed, 0 lost; workers 0 -> 2 -> 0"
    assert times.first_pod_ms is not None
    assert times.enqueued_ms is not None
    kubectl.run("delete", "namespace", kubectl.namespace, "--wait=false")
