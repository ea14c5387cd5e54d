"""Jobs that one call of a handler takes together.

::

    @fleet.job(queue="search", batch=50, batch_wait=0.05)
    async def index(jobs: list[BatchItem[Document]]) -> None:
        for job, error in zip(jobs, await engine.bulk([job.args for job in jobs])):
            if error:
                job.fail(error)

    await index.enqueue(Document(id="1", text="..."))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from jobfleet.context import JobContext

T = TypeVar("T")


class BatchItem(Generic[T]):
    """One job of a batch.

    A job whose handler returned without a word about it is complete; one whose handler raised fails by that exception.
    A word of its own counts at once, whatever happens to the rest.

    Attributes:
        args: its arguments, checked.
        job: its context, with its id and attempt; ``job.cancelled`` says that this one is no longer wanted.
    """

    __slots__ = ("_tell", "args", "decided", "job")

    def __init__(self, args: T, job: JobContext, tell: Callable[[Any, BaseException | None], None]) -> None:
        self.args = args
        self.job = job
        self._tell = tell
        self.decided = False

    def complete(self, result: Any = None) -> None:
        """This job is done, with that result.

        Raises:
            RuntimeError: it has its verdict already.
        """
        self._decide(result, None)

    def fail(self, error: BaseException | type[BaseException] | str) -> None:
        """This attempt failed; a signal (``Snooze``, ``Unrecoverable``…) steers the job as if a handler raised it.

        Raises:
            TypeError: ``error`` is neither an exception, nor the class of one, nor a text.
            RuntimeError: it has its verdict already.
        """
        self._decide(None, _exception(error))

    def _decide(self, result: Any, error: BaseException | None) -> None:
        if self.decided:
            raise RuntimeError(f"job {self.job.id} has its verdict already")
        self.decided = True
        self._tell(result, error)

    def __repr__(self) -> str:
        return f"<BatchItem {self.args!r}>"


class BatchItemFailed(Exception):
    """A batch handler failed one item with a text."""


def _exception(error: Any) -> BaseException:
    if isinstance(error, str):
        return BatchItemFailed(error)
    raised = error() if isinstance(error, type) and issubclass(error, BaseException) else error
    if not isinstance(raised, BaseException):
        raise TypeError(f"fail: {error!r:.80} must be an exception, a class of exceptions, or a text")
    return raised
