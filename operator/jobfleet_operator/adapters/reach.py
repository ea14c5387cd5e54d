"""Whether the API server can be used: what fails lastingly is said once, and once more when it is over."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

SAID_AFTER_SECONDS = 10.0
"""What is over sooner is not worth a word."""


@dataclass(slots=True)
class Failing:
    """Since when something fails, what was said last, and whether it was passed on."""

    since: float
    sentence: str
    told: bool = False


class Reach:
    """Takes the outcome of calls by what they are for (`reads`, `writes`, a watch); for one loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failing: dict[str, Failing] = {}

    def note(self, what: str, sentence: str = "") -> None:
        """Note that `what` works, or the sentence that says why it does not."""
        if not sentence:
            over = self._failing.pop(what, None)
            if over is not None and over.told:
                log.info("Kubernetes: %s work again after %.0f s", what, self._clock() - over.since)
            return
        known = self._failing.setdefault(what, Failing(self._clock(), sentence))
        known.sentence = sentence
        if not known.told and self._lasts(known):
            known.told = True
            log.warning("Kubernetes: %s fail for %.0f s: %s", what, self._clock() - known.since, sentence)

    def trouble(self) -> str:
        """For the readiness probe: what has failed for long; "" when nothing has."""
        lasting = [(what, one) for what, one in sorted(self._failing.items()) if self._lasts(one)]
        return "; ".join(f"{what} fail for {self._clock() - one.since:.0f} s: {one.sentence}" for what, one in lasting)

    def _lasts(self, one: Failing) -> bool:
        return self._clock() - one.since >= SAID_AFTER_SECONDS
