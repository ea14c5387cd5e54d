"""Enqueue photographs: `python -m photos.produce --count 500`. Any service that has the SDK can do this.

Its last line is JSON: how many jobs Redis took, when (Unix ms), how long that took, and what the queue held before.
"""

from __future__ import annotations

import argparse
import json
import time

from photos.jobs import fleet, process_photo
from photos.queue_counts import queue_counts

OPERATIONS = ["autocontrast", "thumbnail"]


def main() -> None:
    """Enqueue `--count` photographs, ids from `--first` on."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=500, help="how many photographs [500]")
    options.add_argument("--first", type=int, default=1, help="the first photo id [1]")
    chosen = options.parse_args()
    before = queue_counts(fleet)
    photos = [
        {"photo_id": str(number), "operations": OPERATIONS}
        for number in range(chosen.first, chosen.first + chosen.count)
    ]
    began_ms = time.time_ns() // 1_000_000
    job_ids = process_photo.enqueue_many_sync(photos)
    took_ms = time.time_ns() // 1_000_000 - began_ms
    print(json.dumps({"enqueued": len(set(job_ids)), "began_ms": began_ms, "took_ms": took_ms, "before": before}))


if __name__ == "__main__":
    main()
