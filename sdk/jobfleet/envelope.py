"""What jobs of one name and one set of options have in common, packed once; each job is put into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobfleet import codec
from jobfleet.options import JobOptions, check_job_name
from jobfleet.scripts.producing import NewJob

if TYPE_CHECKING:
    from jobfleet.seal import Seal


class Envelope:
    """Makes jobs of one name for one queue.

    Raises:
        InvalidJob: no job may be called so.
    """

    __slots__ = ("_due", "_extension", "_name", "_options", "_queue", "_seal", "_shell")

    def __init__(self, queue: str, name: str, options: JobOptions, seal: Seal) -> None:
        self._queue, self._name, self._options, self._seal = queue, check_job_name(name), options, seal
        self._due = options.due()
        self._shell = codec.pack_shell(name, options)
        self._extension = codec.pack_extension(options) if options.extended else b""

    def fits(self, name: str, options: JobOptions) -> bool:
        """Whether it is for such jobs: those of the very same options. Their metadata may have changed meanwhile."""
        return options is self._options and name == self._name and not options.metadata

    def job(self, job_id: str, args: dict[str, Any]) -> NewJob:
        """A job ready to send.

        Raises:
            InvalidJob: an argument is of a type that MessagePack does not carry; the field is named.
        """
        body = codec.pack_body(self._shell, args)
        if not self._seal.idle:
            body = self._seal.close(body, codec.bound_to(self._queue, job_id))
        options = self._options
        return NewJob(job_id, options.priority, self._due, body, self._extension, options.wait_when_full)
