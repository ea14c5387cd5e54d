"""Every measure, in the order of the tables."""

from bench.measure import Measure
from bench.measures.depth import Depth
from bench.measures.enqueueing import Enqueueing
from bench.measures.footprint import Footprint
from bench.measures.idle import Idle
from bench.measures.killed import Killed
from bench.measures.memory import Memory
from bench.measures.pickup import Pickup
from bench.measures.processing import Processing


def all_measures() -> dict[str, Measure]:
    """Every measure by its name."""
    measures: list[Measure] = [
        Processing("async"),
        Processing("sync"),
        Enqueueing("bulk"),
        Enqueueing("concurrent"),
        Enqueueing("one_async"),
        Enqueueing("one_sync"),
        Pickup(),
        Memory("waiting"),
        Memory("completed"),
        Depth(),
        Idle(),
        Footprint(),
        Killed(),
    ]
    return {measure.name: measure for measure in measures}
