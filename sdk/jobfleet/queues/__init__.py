"""One queue in somebody's hands: :class:`QueueHandle`, and :class:`SyncQueueHandle` for code without an event loop."""

from jobfleet.queues.asynchronous import QueueHandle
from jobfleet.queues.blocking import SyncQueueHandle
from jobfleet.queues.common import ANY, Event

__all__ = ["ANY", "Event", "QueueHandle", "SyncQueueHandle"]
