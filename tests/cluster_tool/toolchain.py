"""The programs of Kubernetes, built from the Go module proxy and kept by version.

One binary `kube` holds etcd, the control plane, kubelet, kube-proxy, kubeadm, kubectl and the CNI daemon of the node
image: they share their code, so that one is 150 MB where seven would be 600.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import cache, commands, packages, versions
from .errors import ClusterToolError, MissingPartError
from .progress import step

SOURCES = Path(__file__).parent / "golang"
SMALL = ("-trimpath", "-ldflags=-s -w")
ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
BESIDE_KUBE = ("kubectl", "kubeadm", "kubelet", "etcd", "kube-apiserver", "kube-controller-manager")
"""Names under which the one binary answers as that program."""


@dataclass(frozen=True, slots=True)
class Module:
    """A program that `go install` makes."""

    package: str
    version: str


MODULES = {
    "kind": Module("sigs.k8s.io/kind", versions.KIND),
    "crictl": Module("sigs.k8s.io/cri-tools/cmd/crictl", versions.CRICTL),
    "coredns": Module("github.com/coredns/coredns", versions.COREDNS),
    "helm": Module("helm.sh/helm/v3/cmd/helm", versions.HELM),
    "kwok": Module("sigs.k8s.io/kwok/cmd/kwok", versions.KWOK),
}

PROGRAMS = (*sorted(MODULES), "kube", "kubectl", "pause")
"""What `program` can be asked for."""

FROM_THE_MACHINE = ("helm", "kind", "kubectl")
"""Programs that a user may have already; theirs is used unless ours is built."""


def program(name: str) -> Path:
    """The path of a program: the cached build, else the machine's own where that will do, else a new build.

    Raises:
        ClusterToolError: no such program is known, or its build failed.
        MissingPartError: there is no Go to build it with.
    """
    if name not in PROGRAMS:
        raise ClusterToolError(f"no program {name!r} is known; there are {', '.join(PROGRAMS)}")
    built = target(name)
    if not built.exists() and name in FROM_THE_MACHINE and (own := commands.find(name)):
        return own
    return build(name)


def build(name: str) -> Path:
    """The path of a program that the tool built itself, now or earlier."""
    path = target(name)
    cache.build_once(path.parent, _builder(name))
    return path


def target(name: str) -> Path:
    """Where a program is kept once it is built."""
    if name in ("kube", "kubectl"):
        return cache.root() / "tools" / f"kube-{_kube_key()}" / name
    if name == "pause":
        return cache.root() / "tools" / f"pause-{cache.key(SOURCES / 'pause')}" / name
    module = MODULES[name]
    return cache.root() / "tools" / f"{name}-{module.version}" / name


def module_folder(name: str) -> Path:
    """The unpacked source of a program's Go module, for files that come with it."""
    module = MODULES[name]
    answer = commands.run(
        [go(), "mod", "download", "-json", f"{module.package}@{module.version}"], environment=ENVIRONMENT
    )
    return Path(json.loads(answer)["Dir"])


def go() -> Path:
    """The path of a Go that is new enough.

    Raises:
        MissingPartError: there is none, and it cannot be fetched.
    """
    minimum = ".".join(map(str, versions.GO_MINIMUM))
    found = commands.find("go")
    if found is not None and go_version(commands.run([found, "version"])) >= versions.GO_MINIMUM:
        return found
    if not packages.may_install():
        raise MissingPartError(f"Go {minimum} or newer", "your package manager, or see https://go.dev/doc/install")
    return _fetched_go()


def go_version(sentence: str) -> tuple[int, int]:
    """Major and minor number in what `go version` says.

    >>> go_version("go version go1.26.8 linux/amd64")
    (1, 26)
    """
    numbers = re.search(r"go(\d+)\.(\d+)", sentence)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def kube_flags() -> list[str]:
    """The linker flags that make Kubernetes know its own version."""
    major, minor, _ = versions.KUBERNETES.removeprefix("v").split(".")
    facts = {"gitVersion": versions.KUBERNETES, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    places = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    settings = [f"-X {place}.{name}={value}" for place in places for name, value in facts.items()]
    return ["-trimpath", f"-ldflags=-s -w {' '.join(settings)}"]


def _kube_key() -> str:
    return f"{versions.KUBERNETES}-{cache.key(SOURCES / 'kube', *kube_flags(), *BESIDE_KUBE)}"


def _builder(name: str) -> Callable[[Path], None]:
    if name in ("kube", "kubectl"):
        return _build_kube
    if name == "pause":
        return _build_pause
    module = MODULES[name]

    def install(draft: Path) -> None:
        draft.mkdir()
        with step(f"build {name} {module.version}", "a minute or two when Go's own cache is empty"):
            commands.run(
                [go(), "install", *SMALL, f"{module.package}@{module.version}"],
                environment={**ENVIRONMENT, "GOBIN": str(draft)},
            )

    return install


def _build_kube(draft: Path) -> None:
    if sys.platform != "linux":
        raise ClusterToolError("Kubernetes can be built for Linux only; use a Docker engine and kind's node image")
    draft.mkdir()
    with step(f"build Kubernetes {versions.KUBERNETES}", "about 5 minutes when Go's own cache is empty"):
        commands.run(
            [go(), "build", *kube_flags(), "-o", draft / "kube", "."],
            environment=ENVIRONMENT,
            cwd=SOURCES / "kube",
        )
    for other in BESIDE_KUBE:
        (draft / other).symlink_to("kube")


def _build_pause(draft: Path) -> None:
    draft.mkdir()
    with step("build pause"):
        commands.run(
            [go(), "build", *SMALL, "-o", draft / "pause", "main.go"],
            environment=ENVIRONMENT,
            cwd=SOURCES / "pause",
        )


def _fetched_go() -> Path:
    """Debian's Go is old, but it can fetch a new one as the module by which Go updates itself."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    packages.need("go")
    with step(f"fetch Go {versions.GO}, since the machine's own is too old"):
        name = f"golang.org/toolchain@v0.0.1-go{versions.GO}.linux-{architecture}"
        answer = commands.run(["go", "mod", "download", "-json", name], environment=ENVIRONMENT)
        folder = Path(json.loads(answer)["Dir"])
        for part in ("bin", "pkg/tool"):
            for file in (folder / part).rglob("*"):
                if file.is_file():
                    file.chmod(0o755)  # a module's files are not executable
    return folder / "bin" / "go"
