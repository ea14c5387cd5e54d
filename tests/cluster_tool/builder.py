"""Builds an image from a Dockerfile and keeps it as an archive that a cluster can load.

An existing engine builds with `docker build`. Where the engine is a private one, buildah builds the same Dockerfile,
since it can lend the build this machine's package settings and certificates without leaving them in the image. A
Dockerfile's `ARG BASE` that would have to be pulled is given our own base image where nothing can be pulled.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import archive, base_images, cache, commands, dockerfile, engine_choice, packages, pip_settings
from .engine import Engine, EngineKind
from .errors import ClusterToolError
from .progress import say, step

PULL_SECONDS = 300.0
"""How long a base image may take."""

MOST_LAYERS = 300
"""How many layers buildah keeps for the sake of speed."""


@dataclass(frozen=True, slots=True)
class Build:
    """What to build."""

    image: str
    file: Path
    context: Path
    arguments: Mapping[str, str]


def build(wanted: Build) -> Path:
    """Builds an image and returns the path of its archive.

    Raises:
        ClusterToolError: the build failed; the message holds its last lines.
    """
    for path in (wanted.file, wanted.context):
        if not path.exists():
            raise ClusterToolError(f"cannot build {wanted.image}: {path} does not exist")
    target = archive_path(wanted.image)
    with cache.lock("image-builds"):
        engine = engine_choice.find_or_plan()
        if engine.kind is EngineKind.EXISTING:
            _build_with_docker(engine, wanted, target)
        else:
            _build_with_buildah(wanted, target)
    return target


def archive_path(image: str) -> Path:
    """Where the archive of an image is kept; the next build of the same name replaces it."""
    return cache.folder("images") / f"{re.sub(r'[^A-Za-z0-9.-]', '_', image)}.tar"


def _build_with_docker(engine: Engine, wanted: Build, target: Path) -> None:
    arguments = dict(wanted.arguments)
    foreign = dockerfile.wants_foreign_base(wanted.file, arguments)
    if foreign is not None and not _obtainable(engine, foreign):
        say(f"{foreign} cannot be pulled here; building upon {base_images.BASE.name} instead")
        engine.docker("load", "--input", str(base_images.built(base_images.BASE)))
        arguments["BASE"] = base_images.BASE.name
    with step(f"build {wanted.image} with docker"):
        words = ["--tag", wanted.image, "--file", str(wanted.file), *_build_arguments(arguments)]
        engine.docker("build", "--network=host", *words, str(wanted.context))
    if _id_in(target, wanted.image) != engine.docker("image", "inspect", "--format={{.Id}}", wanted.image).strip():
        draft = target.with_suffix(".draft")
        engine.docker("save", "--output", str(draft), wanted.image)
        draft.rename(target)


def _obtainable(engine: Engine, image: str) -> bool:
    if engine.has_image(image):
        return True
    try:
        with step(f"pull {image}"):
            engine.docker("pull", "--quiet", image, seconds=PULL_SECONDS)
    except ClusterToolError:
        return False
    return True


def _build_with_buildah(wanted: Build, target: Path) -> None:
    packages.need("buildah")
    arguments = dict(wanted.arguments)
    if foreign := dockerfile.wants_foreign_base(wanted.file, arguments):
        say(f"building upon {base_images.BASE.name}, made here, in place of {foreign}")
        arguments["BASE"] = base_images.BASE.name
    with tempfile.TemporaryDirectory(prefix="jf-build-") as work:
        storage = _Storage(Path(work))
        storage.prune()
        for name in set(arguments.values()):
            if (made_here := _archive_of(name)) is not None:
                storage.add(made_here, name)
        with step(f"build {wanted.image} with buildah"):
            how = ["--isolation=chroot", "--network=host", "--layers", *storage.lent()]
            words = ["--tag", wanted.image, "--file", str(wanted.file), *_build_arguments(arguments)]
            storage.buildah("build", *how, *words, str(wanted.context))
        if _id_in(target, wanted.image) != storage.id_of(wanted.image):
            draft = target.with_suffix(".draft")
            cache.remove(draft)
            with step(f"write {wanted.image} to a file"):
                storage.buildah("push", "--quiet", wanted.image, f"docker-archive:{draft}:{wanted.image}")
            draft.rename(target)


class _Storage:
    """buildah's images, in the cache, and what one build is lent; `work` goes after the build."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.policy = work / "policy.json"
        self.policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')

    def buildah(self, verb: str, *words: str) -> str:
        place = ["--root", str(cache.folder("buildah")), "--runroot", str(self.work / "run")]
        policy = [] if verb in ("images", "inspect", "rmi") else [f"--signature-policy={self.policy}"]
        return commands.run(["buildah", *place, verb, *policy, *words])

    def add(self, path: Path, name: str) -> None:
        """Takes an archive in, unless the very image is there already."""
        if self.id_of(name) != archive.contents(path)[name]:
            with step(f"hand {name} to buildah"):
                self.buildah("pull", "--quiet", f"docker-archive:{path}")

    def prune(self) -> None:
        """Starts over when very many layers have come together; the next build then takes a minute."""
        if len(self.buildah("images", "--all", "--quiet").split()) > MOST_LAYERS:
            with step("remove old layers of buildah"):
                self.buildah("rmi", "--all", "--force")

    def id_of(self, name: str) -> str | None:
        """The id of an image, or None when there is no such image."""
        try:
            identity = self.buildah("inspect", "--type=image", "--format={{.FromImageID}}", name).strip()
        except ClusterToolError:
            return None
        return f"sha256:{identity}"

    def lent(self) -> list[str]:
        """Options that lend a build this machine's package settings; nothing of them stays in the image."""
        settings = pip_settings.merged()
        options = []
        if bundle := pip_settings.certificates(settings):
            options.append(f"--volume={bundle}:{pip_settings.BUNDLE}:ro")
        file = self.work / "pip.conf"
        file.write_text(pip_settings.as_file(settings))
        return [*options, f"--volume={file}:/etc/pip.conf:ro"]


def _archive_of(name: str) -> Path | None:
    """The archive of an image that was made here, or None."""
    if name == base_images.BASE.name:
        return base_images.built(base_images.BASE)
    path = archive_path(name)
    return path if name.startswith(dockerfile.OURS) and path.exists() else None


def _build_arguments(arguments: Mapping[str, str]) -> list[str]:
    return [f"--build-arg={name}={value}" for name, value in arguments.items()]


def _id_in(path: Path, image: str) -> str | None:
    return archive.contents(path).get(image) if path.exists() else None
