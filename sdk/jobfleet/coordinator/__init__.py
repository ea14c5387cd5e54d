"""The second door to the same rooms, for code that names queues and jobs at run time. A facade: no logic of its own."""

from jobfleet.coordinator.asynchronous import JobQueueCoordinator
from jobfleet.coordinator.blocking import SyncJobQueueCoordinator
from jobfleet.coordinator.facade import Health, SimpleConfig, create_simple_config

__all__ = ["Health", "JobQueueCoordinator", "SimpleConfig", "SyncJobQueueCoordinator", "create_simple_config"]
