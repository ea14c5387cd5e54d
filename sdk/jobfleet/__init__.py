"""Job queues as Kubernetes resources: the SDK.

::

    from jobfleet import Fleet

    fleet = Fleet.from_env()

    @fleet.job(queue="photos", timeout=60)
    async def process_photo(photo_id: str, operations: list[str]) -> dict[str, str]: ...

    await process_photo.enqueue(photo_id="123", operations=["thumbnail"])   # in a service
    # in a Pod: jobfleet worker photos.jobs:fleet
"""

from typing import TYPE_CHECKING, Any

from jobfleet.audit import AuditEntry
from jobfleet.batch import BatchItem
from jobfleet.context import JobContext, Telling, current_job
from jobfleet.coordinator import JobQueueCoordinator, SyncJobQueueCoordinator, create_simple_config
from jobfleet.dependencies import Depends, injected
from jobfleet.errors import (
    ConfigurationError,
    HandlerSignal,
    InspectionError,
    InvalidJob,
    JobFailed,
    JobfleetError,
    MemoryHigh,
    QueueFull,
    RateLimited,
    RetryAfter,
    Snooze,
    Unavailable,
    Unrecoverable,
)
from jobfleet.fleet import Fleet
from jobfleet.flows import FailureFilter, FailureGroup
from jobfleet.handle import Job
from jobfleet.handlers import Treatment
from jobfleet.job import Failure, JobLog, JobView, LogLine
from jobfleet.limits import Limits
from jobfleet.middleware import CallNext, Middleware, NewCall
from jobfleet.options import Dedup, JobOptions
from jobfleet.queues import Event, QueueHandle, SyncQueueHandle
from jobfleet.retry import Backoff
from jobfleet.scripts.steering import Cancellation
from jobfleet.seal import Seal, SealError
from jobfleet.settings import QueueSettings
from jobfleet.states import State
from jobfleet.status import CircuitStatus, QueueStatus, WorkerStatus
from jobfleet.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from jobfleet.worker.supervision import Worker

__all__ = [
    "AuditEntry",
    "Backoff",
    "BatchItem",
    "CallNext",
    "Cancellation",
    "CircuitStatus",
    "ConfigurationError",
    "Dedup",
    "Depends",
    "Event",
    "Failure",
    "FailureFilter",
    "FailureGroup",
    "Fleet",
    "HandlerSignal",
    "InspectionError",
    "InvalidJob",
    "Job",
    "JobContext",
    "JobFailed",
    "JobLog",
    "JobOptions",
    "JobQueueCoordinator",
    "JobView",
    "JobfleetError",
    "Limits",
    "LogLine",
    "MemoryHigh",
    "Middleware",
    "NewCall",
    "QueueFull",
    "QueueHandle",
    "QueueSettings",
    "QueueStatus",
    "RateLimited",
    "RetryAfter",
    "Seal",
    "SealError",
    "Snooze",
    "State",
    "SyncJobQueueCoordinator",
    "SyncQueueHandle",
    "Telling",
    "Treatment",
    "Unavailable",
    "Unrecoverable",
    "Worker",
    "WorkerSettings",
    "WorkerStatus",
    "create_simple_config",
    "current_job",
    "injected",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``Worker`` comes when it is asked for: only workers need what it needs."""
    if name != "Worker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jobfleet.worker.supervision import Worker  # noqa: PLC0415

    return Worker
