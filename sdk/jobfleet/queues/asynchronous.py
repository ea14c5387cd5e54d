"""One queue in the hands of whoever looks after it: status, jobs, failures, limits, events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeVar

from jobfleet import checks, dead_letters, flows, mending
from jobfleet.audit import AuditEntry
from jobfleet.flows import FailureFilter, FailureGroup, Flow
from jobfleet.job import JobLog, JobView
from jobfleet.keys import queue_keys
from jobfleet.limits import Limits, group_config
from jobfleet.queues import given
from jobfleet.queues.common import ANY, RESUMED, Event, Verbs
from jobfleet.scripts import looking, steering
from jobfleet.scripts.command import Command
from jobfleet.scripts.steering import Cancellation
from jobfleet.settings import QueueSettings
from jobfleet.states import State
from jobfleet.status import QueueStatus

if TYPE_CHECKING:
    pass

T = TypeVar("T")


class QueueHandle(Verbs):
    """Async. Every method raises :class:`jobfleet.Unavailable` when Redis gives no answer in time."""

    async def _run(self, command: Command[T]) -> T:
        return await self._connections.client().run(command)

    async def _follow(self, flow: Flow[T]) -> T:
        return await self._connections.client().follow(flow)

    async def status(self) -> QueueStatus:
        """How the queue is now."""
        return QueueStatus.of(self.name, await self._run(looking.inspect(*self._at)))

    async def job(self, job_id: str) -> JobView | None:
        """One job, with its history and the worker that runs it; None where there is none, or no longer."""
        return await self._follow(flows.job(*self._at, given.id_of(job_id), self._connections.seal))

    async def log(self, job_id: str, start: int = 0, limit: int = 1000) -> JobLog:
        """What a job's handlers logged, from line ``start`` on; below 0 it counts from the end."""
        return await self._run(
            looking.read_log(*self._at, given.id_of(job_id), given.line(start), given.count("limit", limit))
        )

    async def jobs(self, state: State | str, limit: int = 100) -> list[JobView]:
        """Jobs of a state, at most ``limit``: of those that have ended the newest first, of delayed ones the next.

        A :class:`jobfleet.State` or its word, as ``"failed"``.

        Waiting ones come by priority, then those of groups, group by group; active ones worker by worker. The cost
        grows with ``limit``, and for active ones with the workers, not with the queue.
        """
        return await self._follow(
            flows.jobs(*self._at, given.state(state), given.count("limit", limit), self._connections.seal)
        )

    async def failed(self, wanted: FailureFilter = ANY, limit: int = 100) -> list[JobView]:
        """Failed jobs, the newest first."""
        return await self._follow(flows.failed(*self._at, wanted, given.count("limit", limit), self._connections.seal))

    async def failures(self, wanted: FailureFilter = ANY, limit: int = 10_000) -> list[FailureGroup]:
        """Failed jobs by their cause, the most frequent first."""
        return flows.grouped(await self.failed(wanted, limit))

    async def cancel(self, job_id: str) -> Cancellation:
        """Cancel a job, wherever it is; ``told``: it runs, and its worker ends it; ``ended``: it ended by itself."""
        return await self._follow(flows.cancel(*self._at, given.id_of(job_id), self._by))

    async def retry(self, *job_ids: str) -> int:
        """Try failed or cancelled jobs again, with all their attempts; returns how many of them are.

        One whose key of ``unique`` or ``debounce`` another job has taken meanwhile stays as it is, and does not count.
        """
        answers = await self._run(steering.retry(*self._at, given.ids(job_ids), by=self._by)) if job_ids else []
        return sum(answers)

    async def retry_where(self, wanted: FailureFilter = ANY, *, per_second: float | None = None) -> int:
        """Try all failed jobs that are meant again, so many a second, none: all at once; returns how many.

        Those whose key another job has stay, as in :meth:`retry`.
        """
        flow = flows.retry_where(*self._at, wanted, given.spacing_us(per_second), self._connections.seal, self._by)
        return await self._follow(flow)

    async def discard(self, *job_ids: str) -> int:
        """Forget jobs that have ended; returns how many."""
        return await self._run(steering.discard(*self._at, given.ids(job_ids), self._by)) if job_ids else 0

    async def clean(self, state: State | str, older_than: float = 0.0) -> int:
        """Forget the completed, failed or cancelled jobs that ended longer ago than that, in seconds."""
        return await self._follow(flows.clean(*self._at, given.ended(state), given.age_ms(older_than), self._by))

    async def mend(self) -> int:
        """Put jobs back that went astray; returns how many, 0 where all is well, as it should be.

        Those that wait and stand in no line go to the end of theirs, and delayed, failed and cancelled ones where they
        are found again. It reads the whole queue, some hundred jobs a round trip, and keeps the ids of waiting ones.
        """
        return await self._follow(mending.mend(*self._at, self._by))

    async def obliterate(self, name: str, *, force: bool = False) -> int:
        """Delete the queue and all in it but its audit; returns how many jobs went.

        ``name`` repeats its name. Refused while jobs run, but with ``force``.
        """
        self._guard(name)
        return await self._follow(flows.obliterate(*self._at, force=checks.truth("force", force), by=self._by))

    async def pause(self, *, return_running: bool = False) -> None:
        """Hand out nothing more, to any worker anywhere; running jobs go on.

        With ``return_running`` they do not: async handlers are cancelled, threads told by their token, processes ended,
        and the jobs wait at the head of their lines again, unfailed. Workers hear of it at once; one that does not,
        with its next heartbeat. Where a JobQueue resource rules, set ``spec.paused`` instead.
        """
        await self._follow(flows.configure(*self._at, given.paused(return_running), self._by))

    async def resume(self) -> None:
        """End a pause."""
        await self._follow(flows.configure(*self._at, RESUMED, self._by))

    async def close_circuit(self, group: str = "") -> bool:
        """Close the circuit of the queue, or of a group, without waiting for probes; False where it was closed.

        What had been counted is forgotten. It opens again as soon as enough attempts fail again.
        """
        return await self._run(steering.close_circuit(*self._at, given.group(group), self._by))

    async def limit(self, limits: Limits) -> None:
        """Set limits."""
        if settings := given.limits(limits):
            await self._run(steering.configure(*self._at, settings, self._by))

    async def settings(self) -> QueueSettings:
        """All settings of the queue; of those that were never set, the defaults."""
        return (await self._run(looking.inspect(*self._at))).settings or QueueSettings()

    async def configure(self, **settings: int | str) -> None:
        """Write settings by their names, as of :class:`jobfleet.QueueSettings`; the others stay as they are.

        Where a JobQueue resource rules, it writes its own over them.

        Raises:
            InvalidJob: a setting is unknown or out of its bounds; the error names it.
        """
        if settings:
            await self._follow(flows.configure(*self._at, settings, self._by))

    async def forward(self) -> int:
        """Carry failed jobs that are on their way to the dead-letter queue now; returns how many are not any more.

        These have arrived, or can be taken by no other queue and stay here as failed, as those that have been there.
        Workers of the queue do so every few seconds by themselves, and the operator where there are none.
        """
        return await self._follow(dead_letters.carry_all(*self._at, self._connections.seal, self._by))

    async def group(
        self, group: str, *, weight: float = 1.0, max_active: int = 0, rate: int = 0, rate_seconds: float = 1.0
    ) -> None:
        """Give one group its own weight and limits; 0: those of all groups.

        Raises:
            InvalidJob: the name or a value is wrong; the error names it.
        """
        config = group_config(group, weight, max_active, rate, rate_seconds)
        await self._run(steering.configure_group(*self._at, group, config, self._by))

    async def wait(self, job_id: str, timeout: float | None = None) -> JobView | None:  # noqa: ASYNC109 - the field's word
        """The job when it has ended; None where it is unknown. A connection that breaks is replaced.

        Raises:
            TimeoutError: it has not ended in ``timeout`` seconds.
            Unavailable: Redis stayed away for longer than the client's patience.
        """
        return await self._connections.ends(self.name).wait(given.id_of(job_id), given.timeout(timeout))

    async def audit(self, newest: int = 100) -> list[AuditEntry]:
        """Who did what to the queue, and why: at most so many entries, the newest first.

        Raises:
            InvalidJob: ``newest`` is below 1.
        """
        return await self._run(looking.read_audit(*self._at, given.count("newest", newest, 1)))

    async def events(self, after: str = "$") -> AsyncIterator[Event]:
        """What happens from now on, or after the event with that id ("0": from the oldest that is kept). Never ends.

        It goes on where it was when a connection broke.

        Raises:
            Unavailable: Redis stayed away for longer than the client's patience.
        """
        key, client, after = queue_keys(*self._at).events, self._connections.client(), given.event(after)
        if after == "$":
            after = await client.stream_end(key)
        while True:
            for at, fields in await client.read_stream(key, after):
                after = at
                yield Event.read(at, fields)
