"""What the generated definitions tell a reader."""

from __future__ import annotations

from jobfleet_operator.crd import structural
from jobfleet_operator.models import JobQueueSpec, WorkerPoolSpec


def test_the_text_of_a_field_tells_its_bounds_and_default_since_kubectl_explain_shows_nothing_else() -> None:
    queue, pool = structural(JobQueueSpec)["properties"], structural(WorkerPoolSpec)["properties"]
    assert queue["maxDeliveries"]["description"].endswith("From 1 to 100. Default: 3.")
    assert queue["limits"]["properties"]["maxActive"]["description"].endswith("From 1 to 1000000.")
    assert queue["paused"]["description"].endswith("Default: false.")
    assert pool["mode"]["description"].endswith("Default: Auto.")
    assert "Default" not in pool["queues"]["description"]
