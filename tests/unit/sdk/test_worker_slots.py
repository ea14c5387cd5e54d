"""Slots are shared by weight where they are scarce, and by nobody's leave where they are not."""

from __future__ import annotations

from collections import Counter

import pytest

from jobfleet.worker.slots import Share, Slots


def nothing() -> None: ...


def serve(slots: Slots, shares: dict[str, Share], rounds: int, most: int = 1000) -> Counter[str]:
    """All ask again and again; whoever is due runs jobs, which end before the next round."""
    served: Counter[str] = Counter()
    for _ in range(rounds):
        taken = {}
        for share in shares.values():
            share.wait()
        for name, share in shares.items():
            taken[name] = share.take(most)
        served.update(taken)
        slots.give(sum(taken.values()))
    return served


def test_one_queue_takes_all_that_is_free() -> None:
    slots = Slots(10)
    share = slots.share(1, nothing)
    assert (share.take(4), share.take(100), share.take(1)) == (4, 6, 0)
    assert slots.busy == 10


@pytest.mark.parametrize("total", [1, 3, 8])
def test_queues_with_backlog_share_scarce_slots_by_weight(total: int) -> None:
    slots = Slots(total)
    shares = {"photos": slots.share(3, nothing), "mail": slots.share(1, nothing)}
    served = serve(slots, shares, rounds=80 // total * 10)
    whole = served.total()
    assert served["photos"] == pytest.approx(whole * 3 / 4, abs=2)
    assert served["mail"] == pytest.approx(whole / 4, abs=2)


def test_the_smallest_weight_does_not_starve() -> None:
    slots = Slots(1)
    shares = {"big": slots.share(1000, nothing), "small": slots.share(1, nothing)}
    assert serve(slots, shares, rounds=2002)["small"] >= 2


def test_a_queue_that_wants_nothing_leaves_its_part_to_the_others() -> None:
    slots = Slots(4)
    one, other = slots.share(1, nothing), slots.share(1, nothing)
    other.wait()
    assert one.take(10) == 2
    other.leave()
    assert one.take(10) == 2


def test_a_queue_that_was_idle_has_saved_nothing_up() -> None:
    slots = Slots(1)
    busy, late = slots.share(1, nothing), slots.share(1, nothing)
    for _ in range(1000):
        assert busy.take(1) == 1
        slots.give(1)
    served = serve(slots, {"busy": busy, "late": late}, rounds=20)
    assert abs(served["busy"] - served["late"]) <= 2


def test_slots_for_jobs_that_did_not_come_are_not_charged() -> None:
    slots = Slots(10)
    one, other = slots.share(1, nothing), slots.share(1, nothing)
    for _ in range(50):
        one.unused(one.take(10))
    served = serve(slots, {"one": one, "other": other}, rounds=10)
    assert served["one"] == pytest.approx(served["other"], abs=2)


def test_who_waits_is_stirred_when_a_slot_comes_free() -> None:
    stirred = []
    slots = Slots(1)
    share = slots.share(1, lambda: stirred.append(1))
    assert share.take(1) == 1
    share.wait()
    assert not stirred
    slots.give(1)
    assert stirred
    assert share.take(1) == 1


def test_more_slots_count_at_once_and_fewer_as_jobs_end() -> None:
    slots = Slots(2)
    share = slots.share(1, nothing)
    assert share.take(10) == 2
    slots.resize(4)
    assert share.take(10) == 2
    slots.resize(1)
    assert (slots.free, slots.busy, share.take(10)) == (-3, 4, 0)
    slots.give(3)
    assert share.take(10) == 0
    slots.give(1)
    assert share.take(10) == 1
