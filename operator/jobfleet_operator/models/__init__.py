"""The two resources as pydantic models: what a user may write and what the operator reports.

The models are the one source of the CRDs: `crd.py` turns them into structural schemas, the
descriptions become `kubectl explain`, the bounds become rules that refuse a wrong manifest with a
sentence. Records know nothing: no client, no decision is made here.
"""

from jobfleet_operator.models.circuit_breaker import CircuitBreaker
from jobfleet_operator.models.parts import Condition, Part
from jobfleet_operator.models.pool import LastDecision, WorkerPoolSpec, WorkerPoolStatus
from jobfleet_operator.models.queue import JobQueueSpec, JobQueueStatus
from jobfleet_operator.models.scaling_policy import CalendarFloor

__all__ = [
    "CalendarFloor",
    "CircuitBreaker",
    "Condition",
    "JobQueueSpec",
    "JobQueueStatus",
    "LastDecision",
    "Part",
    "WorkerPoolSpec",
    "WorkerPoolStatus",
]
