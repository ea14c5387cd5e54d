"""How many workers a pool should have: pure functions on plain values.

`decide` gives the answer with its reasons; `quota.shares` divides what a namespace or a cluster may have.
"""

from jobfleet_operator.scaling.decision import decide
from jobfleet_operator.scaling.need import AGE_STEP_SECONDS
from jobfleet_operator.scaling.records import (
    Decision,
    Fallback,
    Growth,
    History,
    Limit,
    Load,
    Observation,
    Policy,
    Sample,
    Shrinkage,
)

__all__ = [
    "AGE_STEP_SECONDS",
    "Decision",
    "Fallback",
    "Growth",
    "History",
    "Limit",
    "Load",
    "Observation",
    "Policy",
    "Sample",
    "Shrinkage",
    "decide",
]
