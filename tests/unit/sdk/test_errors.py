from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobfleet.errors import InvalidJob, JobfleetError, MemoryHigh, QueueFull, RateLimited, RetryAfter, Snooze

ARGUMENTS: dict[type[JobfleetError], tuple[Any, ...]] = {
    InvalidJob: ("args.photo", "too large"),
    QueueFull: ("photos", 7, 5),
    MemoryHigh: ("photos", 91, 90),
    RetryAfter: (3,),
    Snooze: (3, "no water"),
    RateLimited: (0.5,),
}


def tree(error: type[JobfleetError] = JobfleetError) -> Iterator[type[JobfleetError]]:
    if not error.__name__.startswith("_"):
        yield error
    for below in error.__subclasses__():
        yield from tree(below)


@pytest.mark.parametrize("kind", [kind for kind in tree() if kind.__module__.startswith("jobfleet.")])
@pytest.mark.parametrize("sent", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_an_error_comes_whole_out_of_another_process(
    kind: type[JobfleetError], sent: Callable[[JobfleetError], JobfleetError]
) -> None:
    error = kind(*ARGUMENTS.get(kind, ("why",)))
    error.accepted = ("a", "b")  # type: ignore[attr-defined]  # as enqueue_many does to some
    error.args = (f"{error}; more",)
    got = sent(error)
    assert type(got) is kind
    assert str(got) == str(error)
    assert vars(got) == vars(error)
    assert vars(got)["accepted"] == ("a", "b")
