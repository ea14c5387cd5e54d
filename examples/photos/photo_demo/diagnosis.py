"""What one wants to see when the demo fails: Events, Pods, and the last words of operator and workers."""

from __future__ import annotations

from photo_demo.kubectl import Kubectl

LAST_LINES = 60
"""How much of each log is shown."""


def diagnosis(kubectl: Kubectl, *, product: str, example: str) -> str:
    """Return a report on the namespaces `product` and `example`; never fails, whatever the cluster's state."""
    system, photos = kubectl.within(product), kubectl.within(example)
    sections = [
        ("Resources", photos.try_run("get", "jobqueues,workerpools,deployments,jobs,pods", "--output=wide")),
        ("Conditions", photos.try_run("describe", "jobqueues,workerpools")),
        ("Events of the example", photos.try_run("get", "events", "--sort-by=.lastTimestamp")),
        ("Pods of the product", system.try_run("get", "pods", "--output=wide")),
        ("Events of the product", system.try_run("get", "events", "--sort-by=.lastTimestamp")),
        ("Operator", _logs(system, "app.kubernetes.io/component=operator")),
        ("Workers", _logs(photos, "jobfleet.dev/pool")),
        ("Store, producer, audit", _logs(photos, "!jobfleet.dev/pool")),
    ]
    return "\n".join(f"--- {title} ---\n{text.rstrip()}" for title, text in sections)


def _logs(kubectl: Kubectl, selector: str) -> str:
    return kubectl.try_run(
        "logs", f"--selector={selector}", f"--tail={LAST_LINES}", "--prefix", "--ignore-errors", "--max-log-requests=20"
    )
