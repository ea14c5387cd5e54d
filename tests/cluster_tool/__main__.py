"""The command line: `PYTHONPATH=tests python3 -m cluster_tool …`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import api_only, toolchain
from .errors import ClusterToolError
from .progress import say


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    top = argparse.ArgumentParser(prog="cluster_tool", description="A real Kubernetes for tests and demos.")
    commands = top.add_subparsers(dest="command", required=True)
    api = commands.add_parser("api", help="an API server with its controllers, without nodes: ready in seconds")
    api.add_argument("action", choices=("up", "down", "kubeconfig"))
    _name(api, "api")
    path = commands.add_parser("path", help="where a program is; it is built first if need be")
    path.add_argument("program", choices=toolchain.PROGRAMS)
    return top


def _name(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument("--name", default=default, help="which one, where there are several (default: %(default)s)")


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command; the answer is the exit status."""
    arguments = parser().parse_args(words)
    try:
        match arguments.command:
            case "api":
                _api(arguments.action, arguments.name)
            case "path":
                print(toolchain.program(arguments.program))
    except ClusterToolError as error:
        say(str(error))
        return 1
    return 0


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
