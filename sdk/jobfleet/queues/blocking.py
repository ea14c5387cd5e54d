"""One queue in the hands of whoever looks after it, without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from jobfleet import checks, dead_letters, flows, mending
from jobfleet.audit import AuditEntry
from jobfleet.flows import FailureFilter, FailureGroup, Flow
from jobfleet.job import JobLog, JobView
from jobfleet.limits import Limits, group_config
from jobfleet.queues import given
from jobfleet.queues.common import ANY, RESUMED, Verbs
from jobfleet.scripts import looking, steering
from jobfleet.scripts.command import Command
from jobfleet.scripts.steering import Cancellation
from jobfleet.settings import QueueSettings
from jobfleet.states import State
from jobfleet.status import QueueStatus

if TYPE_CHECKING:
    pass

T = TypeVar("T")


class SyncQueueHandle(Verbs):
    """As :class:`QueueHandle`, for code without an event loop."""

    def _run(self, command: Command[T]) -> T:
        return self._connections.sync_client().run(command)

    def _follow(self, flow: Flow[T]) -> T:
        return self._connections.sync_client().follow(flow)

    def status(self) -> QueueStatus:
        """How the queue is now."""
        return QueueStatus.of(self.name, self._run(looking.inspect(*self._at)))

    def job(self, job_id: str) -> JobView | None:
        """One job; as :meth:`QueueHandle.job`."""
        return self._follow(flows.job(*self._at, given.id_of(job_id), self._connections.seal))

    def log(self, job_id: str, start: int = 0, limit: int = 1000) -> JobLog:
        """What a job's handlers logged, from line ``start`` on; below 0 it counts from the end."""
        return self._run(
            looking.read_log(*self._at, given.id_of(job_id), given.line(start), given.count("limit", limit))
        )

    def jobs(self, state: State | str, limit: int = 100) -> list[JobView]:
        """Jobs of a state; as :meth:`QueueHandle.jobs`."""
        return self._follow(
            flows.jobs(*self._at, given.state(state), given.count("limit", limit), self._connections.seal)
        )

    def failed(self, wanted: FailureFilter = ANY, limit: int = 100) -> list[JobView]:
        """Failed jobs, the newest first."""
        return self._follow(flows.failed(*self._at, wanted, given.count("limit", limit), self._connections.seal))

    def failures(self, wanted: FailureFilter = ANY, limit: int = 10_000) -> list[FailureGroup]:
        """Failed jobs by their cause, the most frequent first."""
        return flows.grouped(self.failed(wanted, limit))

    def cancel(self, job_id: str) -> Cancellation:
        """Cancel a job, wherever it is."""
        return self._follow(flows.cancel(*self._at, given.id_of(job_id), self._by))

    def retry(self, *job_ids: str) -> int:
        """Try failed or cancelled jobs again; as :meth:`QueueHandle.retry`."""
        answers = self._run(steering.retry(*self._at, given.ids(job_ids), by=self._by)) if job_ids else []
        return sum(answers)

    def retry_where(self, wanted: FailureFilter = ANY, *, per_second: float | None = None) -> int:
        """Try all failed jobs that are meant again, so many a second."""
        flow = flows.retry_where(*self._at, wanted, given.spacing_us(per_second), self._connections.seal, self._by)
        return self._follow(flow)

    def discard(self, *job_ids: str) -> int:
        """Forget jobs that have ended."""
        return self._run(steering.discard(*self._at, given.ids(job_ids), self._by)) if job_ids else 0

    def clean(self, state: State | str, older_than: float = 0.0) -> int:
        """Forget jobs that ended longer ago than that, in seconds."""
        return self._follow(flows.clean(*self._at, given.ended(state), given.age_ms(older_than), self._by))

    def mend(self) -> int:
        """Put jobs back that went astray; as :meth:`QueueHandle.mend`."""
        return self._follow(mending.mend(*self._at, self._by))

    def obliterate(self, name: str, *, force: bool = False) -> int:
        """Delete the queue; as :meth:`QueueHandle.obliterate`."""
        self._guard(name)
        return self._follow(flows.obliterate(*self._at, force=checks.truth("force", force), by=self._by))

    def pause(self, *, return_running: bool = False) -> None:
        """Hand out nothing more; as :meth:`QueueHandle.pause`."""
        self._follow(flows.configure(*self._at, given.paused(return_running), self._by))

    def resume(self) -> None:
        """End a pause."""
        self._follow(flows.configure(*self._at, RESUMED, self._by))

    def close_circuit(self, group: str = "") -> bool:
        """Close a circuit; as :meth:`QueueHandle.close_circuit`."""
        return self._run(steering.close_circuit(*self._at, given.group(group), self._by))

    def limit(self, limits: Limits) -> None:
        """Set limits."""
        if settings := given.limits(limits):
            self._run(steering.configure(*self._at, settings, self._by))

    def settings(self) -> QueueSettings:
        """All settings of the queue; of those that were never set, the defaults."""
        return self._run(looking.inspect(*self._at)).settings or QueueSettings()

    def configure(self, **settings: int | str) -> None:
        """Write settings by their names; as :meth:`QueueHandle.configure`."""
        if settings:
            self._follow(flows.configure(*self._at, settings, self._by))

    def forward(self) -> int:
        """Carry failed jobs to the dead-letter queue now; as :meth:`QueueHandle.forward`."""
        return self._follow(dead_letters.carry_all(*self._at, self._connections.seal, self._by))

    def group(
        self, group: str, *, weight: float = 1.0, max_active: int = 0, rate: int = 0, rate_seconds: float = 1.0
    ) -> None:
        """Give one group its own weight and limits; as :meth:`QueueHandle.group`."""
        config = group_config(group, weight, max_active, rate, rate_seconds)
        self._run(steering.configure_group(*self._at, group, config, self._by))

    def audit(self, newest: int = 100) -> list[AuditEntry]:
        """Who did what to the queue; as :meth:`QueueHandle.audit`."""
        return self._run(looking.read_audit(*self._at, given.count("newest", newest, 1)))

    def wait(self, job_id: str, timeout: float | None = None) -> JobView | None:
        """The job when it has ended; as :meth:`QueueHandle.wait`."""
        return self._connections.sync_client().wait_for_end(
            self._at, given.id_of(job_id), given.timeout(timeout), self._connections.seal
        )
