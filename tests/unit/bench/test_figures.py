from __future__ import annotations

import doctest
import importlib

import pytest
from bench.figures import Better, Spread, cell, percentile, spread, times_better, written


@pytest.mark.parametrize(
    "module",
    ["figures", "operator.audit", "operator.population", "options", "peer", "redis_server", "table", "zero.rounds"],
)
def test_the_examples_in_the_documentation_hold(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"bench.{module}"))
    assert tried > 0
    assert failed == 0


def test_the_median_of_an_even_number_of_rounds_lies_in_the_middle_of_the_two_middle_ones() -> None:
    assert spread([10.0, 40.0, 20.0, 30.0]) == Spread(median=25.0, low=10.0, high=40.0, rounds=4)


def test_the_99th_percentile_of_a_hundred_values_leaves_one_above() -> None:
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile(range(1, 101), 0.5) == 50


def test_a_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_better_means_more_of_a_rate_and_less_of_a_time() -> None:
    assert times_better(30, 10, Better.MORE) == 3
    assert times_better(1, 4, Better.LESS) == 4
    assert times_better(0, 4, Better.LESS) is None


def test_numbers_keep_three_digits_that_count() -> None:
    assert [written(n) for n in (0.05678, 5.678, 56.78, 567.8, 5678.4)] == ["0.0568", "5.68", "56.8", "568", "5,678"]


def test_a_spread_whose_ends_read_alike_is_written_as_one_number() -> None:
    assert cell(Spread(219.0, 218.9, 219.1, 3)) == "219"
