"""Finds jobs that Redis says this worker holds and it never saw: a claim whose answer was lost. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping


class Orphans:
    """Remembers what one heartbeat showed until the next.

    A job is an orphan only if seen twice, and if an exchange that was under way at the first sight has ended since:
    its answer might have brought the job.

    >>> orphans = Orphans()
    >>> orphans.look({"a": 1, "b": 1}, known={"b"}, ended=7, under_way=1)
    []
    >>> orphans.look({"a": 1, "b": 1}, known={"b"}, ended=7, under_way=1)
    []
    >>> orphans.look({"a": 1, "b": 1}, known={"b"}, ended=8, under_way=0)
    [('a', 1)]
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], int] = {}

    def look(
        self, held: Mapping[str, int], known: Collection[str], ended: int, under_way: int
    ) -> list[tuple[str, int]]:
        """The jobs, with their attempts, that are certainly nobody's.

        ``held`` is what Redis says, ``known`` what this worker knows of, ``ended`` and ``under_way`` count exchanges.
        """
        seen, self._seen = self._seen, {}
        found = []
        for job in held.items():
            if job[0] in known:
                continue
            sure_after = seen.get(job)
            if sure_after is None:
                self._seen[job] = ended + under_way
            elif ended < sure_after:
                self._seen[job] = sure_after
            else:
                found.append(job)
        return found
