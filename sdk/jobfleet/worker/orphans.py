"""Finds jobs that Redis says this worker holds and it never saw: a claim whose answer was lost. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping


class Orphans:
    """Remembers what one heartbeat showed until the next.

    A job is an orphan only if seen twice, and if all exchanges that were under way at the first sight have ended
    since: one of their answers might have brought the job.

    >>> orphans = Orphans()
    >>> orphans.look({"a": 1, "b": 1}, known={"b"}, begun=8, oldest=6)  # numbers 6 and perhaps 7 are under way
    []
    >>> orphans.look({"a": 1, "b": 1}, known={"b"}, begun=9, oldest=7)  # 7 still is
    []
    >>> orphans.look({"a": 1, "b": 1}, known={"b"}, begun=9, oldest=8)
    [('a', 1)]
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], int] = {}

    def look(self, held: Mapping[str, int], known: Collection[str], begun: int, oldest: int) -> list[tuple[str, int]]:
        """The jobs, with their attempts, that are certainly nobody's.

        ``held`` is what Redis says, ``known`` what this worker knows of, ``begun`` how many exchanges have begun,
        ``oldest`` the number, from 0, of the oldest one under way, or ``begun`` where there is none.
        """
        seen, self._seen = self._seen, {}
        found = []
        for job in held.items():
            if job[0] in known:
                continue
            may_bring = seen.get(job)  # exchanges with lower numbers
            if may_bring is None:
                self._seen[job] = begun
            elif oldest < may_bring:
                self._seen[job] = may_bring
            else:
                found.append(job)
        return found
