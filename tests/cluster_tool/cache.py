"""Where the tool keeps what it built, under keys that change when the recipe does.

`$JOBFLEET_CACHE`, else `$XDG_CACHE_HOME/jobfleet`, else `~/.cache/jobfleet`. Everything in it can be deleted
while no cluster runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from .progress import say

KEY_LENGTH = 12
"""Hexadecimal digits of a cache key."""


def root(environment: Mapping[str, str] = os.environ) -> Path:
    """The cache folder, whether it exists or not."""
    if chosen := environment.get("JOBFLEET_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "jobfleet"


def folder(*parts: str) -> Path:
    """A folder inside the cache; it exists afterwards."""
    path = root().joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def key(*ingredients: str | Path) -> str:
    """A short key of a recipe: texts count as they are, files and folders by names and content."""
    digest = hashlib.sha256()
    for ingredient in ingredients:
        for name, content in _parts(ingredient):
            digest.update(f"{len(name)} {name} {len(content)} ".encode())
            digest.update(content)
    return digest.hexdigest()[:KEY_LENGTH]


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Lets one process at a time into a part of the tool; the others wait and say so."""
    with (folder("locks") / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is busy with {name}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Returns `target`, made by `build(draft)` if it is not there; a failed build leaves no half of it."""
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with lock(target.name):
        if not target.exists():
            draft = target.parent / f".{target.name}.draft"
            remove(draft)
            try:
                build(draft)
                draft.rename(target)
            finally:
                remove(draft)
    return target


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _parts(ingredient: str | Path) -> list[tuple[str, bytes]]:
    if isinstance(ingredient, str):
        return [("", ingredient.encode())]
    if ingredient.is_file():
        return [(ingredient.name, ingredient.read_bytes())]
    files = sorted(path for path in ingredient.rglob("*") if path.is_file())
    return [(path.relative_to(ingredient).as_posix(), path.read_bytes()) for path in files]
