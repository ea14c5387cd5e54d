"""Prove the result: `python -m photos.audit --count 500`. Opens every thumbnail and compares it with all others.

Its last line is JSON, see `photos.evidence.compare`, and the counts of the queue. It judges nothing; who reads it does.
"""

from __future__ import annotations

import argparse
import json

from photos.evidence import compare
from photos.jobs import fleet
from photos.queue_counts import queue_counts
from photos.store_client import StoreClient


def main() -> None:
    """Audit photographs and add the counts of the queue."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=500, help="how many photographs [500]")
    options.add_argument("--first", type=int, default=1, help="the first photo id [1]")
    chosen = options.parse_args()
    wanted = [str(number) for number in range(chosen.first, chosen.first + chosen.count)]
    store = StoreClient()
    print(json.dumps({**compare(wanted, store.report(), store.thumbnail), "queue": queue_counts(fleet)}))


if __name__ == "__main__":
    main()
