"""A wrong declaration is refused where it stands, and a strict fleet refuses what nobody has declared."""

from __future__ import annotations

from typing import Any

import pytest

from jobfleet import Backoff, ConfigurationError, Fleet, InvalidJob, JobOptions, Snooze, Unrecoverable
from jobfleet.policy import Policy, decide

FLEET = Fleet("redis://127.0.0.1:1/0")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"batch": "5"}, "batch: '5' must be a whole number from 1 to 1000"),
        ({"batch": True}, "batch: True"),
        ({"batch_wait": "1"}, "batch_wait: '1' must be seconds"),
        ({"on_error": [1]}, r"on_error: \[1\] must be a mapping"),
        ({"on_error": {KeyError: Snooze}}, "the rule for KeyError is .*; give Unrecoverable, .*Snooze"),
        ({"on_error": {KeyError: Backoff}}, "the rule for KeyError"),
        ({"on_error": {KeyError: ValueError}}, "the rule for KeyError"),
    ],
)
def test_what_is_wrong_with_a_declaration_is_named(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        FLEET.job(queue="photos", name="other", **values)


def test_a_rule_may_give_a_class_of_signals_and_must_give_a_decision() -> None:
    class Hopeless(Unrecoverable): ...

    class Later(Snooze):
        def __init__(self, error: BaseException) -> None:
            super().__init__(7, str(error))

    error = KeyError("x")
    for rule in (Hopeless, lambda _: Hopeless):
        assert isinstance(decide(error, Policy(rules={KeyError: rule})), Hopeless)
    later = decide(error, Policy(rules={KeyError: Later}))
    assert isinstance(later, Snooze)
    assert later.seconds == 7
    assert decide(error, Policy(rules={KeyError: lambda _: None})) is None
    for wrong in (Snooze, 5, ValueError("x"), Backoff):
        with pytest.raises(ValueError, match=r"the rule for KeyError gave .*; give Unrecoverable, RetryAfter\(s\)"):
            decide(error, Policy(rules={KeyError: lambda _, wrong=wrong: wrong}))


@pytest.mark.parametrize(
    ("queue", "name", "says"),
    [
        ("photo", "shrink", "queue: 'photo' is not declared in this fleet, which is strict; did you mean 'photos'?"),
        ("photos", "shrnk", "name: 'shrnk' is not declared in this fleet, which is strict; did you mean 'shrink'?"),
        ("photos", "x", "name: 'x' is not declared in this fleet, which is strict; there are shrink"),
    ],
)
async def test_a_strict_fleet_refuses_what_it_has_not_declared(queue: str, name: str, says: str) -> None:
    fleet = Fleet.from_env({"JOBFLEET_REDIS_URL": "redis://127.0.0.1:1/0"}, strict=True)

    @fleet.job(queue="photos")
    async def shrink() -> None: ...

    for _ in range(2):
        with pytest.raises(InvalidJob) as caught:
            await fleet.enqueue(queue, name, {})
        assert str(caught.value) == says
    assert len(fleet._new_jobs("photos", [("shrink", {}, JobOptions())])) == 1
