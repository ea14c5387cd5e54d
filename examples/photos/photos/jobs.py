"""The job: fetch a photograph, develop it, keep the result. Workers run `jobfleet worker photos.jobs:fleet`."""

from __future__ import annotations

from jobfleet import Fleet
from photos.darkroom import develop
from photos.store_client import StoreClient

fleet = Fleet.from_env()
store = StoreClient()


@fleet.job(queue="photos", timeout=60, attempts=3)
def process_photo(photo_id: str, operations: list[str]) -> dict[str, str]:
    """Develop one photograph. Running it again makes the same thumbnail again, so that does no harm.

    A plain function runs in a thread of the worker: Pillow lets other threads work while it decodes and resizes.
    """
    store.record_run(photo_id)
    thumbnail = develop(store.original(photo_id), operations)
    return {"thumbnail": store.put_thumbnail(photo_id, thumbnail)}
