"""The command line: `PYTHONPATH=tests python3 -m cluster_tool …`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from . import api_only, base_images, builder, clusters, toolchain
from .clusters import Cluster
from .errors import ClusterToolError
from .progress import say

MOST_WORKERS = 9
"""More nodes than that fit no laptop."""


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    top = argparse.ArgumentParser(prog="cluster_tool", description="A real Kubernetes for tests and demos.")
    commands = top.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring a cluster up; prints the path of its kubeconfig")
    up.add_argument(
        "--workers", type=_count, default=clusters.WORKERS, help="nodes beside the control plane (%(default)s)"
    )
    load = commands.add_parser("load", help="load image archives into every node that runs Pods")
    load.add_argument("archives", nargs="+", type=Path, metavar="IMAGE_ARCHIVE")
    kubeconfig = commands.add_parser("kubeconfig", help="print the path of a cluster's kubeconfig")
    down = commands.add_parser("down", help="take a cluster down, and a private engine with the last one")
    status = commands.add_parser("status", help="say what runs")
    down.add_argument("--all", action="store_true", help="every cluster")
    for command in (up, load, kubeconfig, down, status):
        _name(command, "jobfleet")
    build = commands.add_parser("build", help="build an image from a Dockerfile; prints the path of its archive")
    build.add_argument("image", help="the image's name, such as localhost/jobfleet:dev")
    build.add_argument("--file", type=Path, help="the Dockerfile (default: Dockerfile in the context)")
    build.add_argument("--context", type=Path, default=Path(), help="the folder that is built from (default: .)")
    build.add_argument("--build-arg", action="append", default=[], type=_build_argument, metavar="NAME=VALUE")
    commands.add_parser("build-base", help=f"make {base_images.BASE.name}; prints the path of its archive")
    commands.add_parser("build-redis", help=f"make {base_images.REDIS.name}; prints the path of its archive")
    api = commands.add_parser("api", help="an API server with its controllers, without nodes: ready in seconds")
    api.add_argument("action", choices=("up", "down", "kubeconfig"))
    _name(api, "api")
    commands.add_parser("forget", help="remove everything that is cached; no cluster may be up")
    path = commands.add_parser("path", help="where a program is; it is built first if need be")
    path.add_argument("program", choices=toolchain.PROGRAMS)
    return top


def _name(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--name", type=_dns_label, default=default, help="which one, where there are several (default: %(default)s)"
    )


def _count(word: str) -> int:
    number = int(word)
    if not 0 <= number <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{number} is not between 0 and {MOST_WORKERS}")
    return number


def _dns_label(word: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", word):
        raise argparse.ArgumentTypeError(f"{word!r} is no name: use up to 40 of a-z, 0-9 and -")
    return word


def _build_argument(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{word!r} is not NAME=VALUE")
    return name, value


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command; the answer is the exit status."""
    arguments = parser().parse_args(words)
    try:
        _run(arguments)
    except ClusterToolError as error:
        say(str(error))
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "up":
            clusters.up(Cluster(arguments.name), arguments.workers)
            print(Cluster(arguments.name).kubeconfig)
        case "load":
            clusters.load(Cluster(arguments.name), arguments.archives)
        case "kubeconfig":
            clusters.require_up(Cluster(arguments.name))
            print(Cluster(arguments.name).kubeconfig)
        case "down":
            clusters.down_all() if arguments.all else clusters.down(Cluster(arguments.name))
        case "status":
            print(clusters.status(Cluster(arguments.name)))
        case "build":
            file = arguments.file or arguments.context / "Dockerfile"
            wanted = builder.Build(arguments.image, file, arguments.context, dict(arguments.build_arg))
            print(builder.build(wanted))
        case "build-base":
            print(base_images.built(base_images.BASE))
        case "build-redis":
            print(base_images.built(base_images.REDIS))
        case "api":
            _api(arguments.action, arguments.name)
        case "forget":
            clusters.forget()
        case "path":
            print(toolchain.program(arguments.program))


def _api(action: str, name: str) -> None:
    server = api_only.named(name)
    match action:
        case "up":
            api_only.up(server)
            print(server.kubeconfig)
        case "down":
            server.down()
        case "kubeconfig":
            if not server.running:
                raise ClusterToolError(f"no API server {name!r} runs; start it with `api up --name {name}`")
            print(server.kubeconfig)


if __name__ == "__main__":
    sys.exit(main())
