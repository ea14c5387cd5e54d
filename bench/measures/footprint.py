"""What it costs a program to import a peer."""

from __future__ import annotations

import json
import os

from bench import environments
from bench.figures import Better, Figure
from bench.measure import Measure
from bench.peer import Peer
from bench.stand import Stand, run_program

PYTHON = """
import json, os, time
begun = time.perf_counter()
{imports}
seconds = time.perf_counter() - begun
pages = int(open("/proc/self/statm").read().split()[1])
print(json.dumps([seconds, pages * os.sysconf("SC_PAGE_SIZE")]))
"""
NODE = """
const begun = process.hrtime.bigint();
{imports};
console.log(JSON.stringify([Number(process.hrtime.bigint() - begun) / 1e9, process.memoryUsage().rss]));
"""
SECONDS = 30.0


class Footprint(Measure):
    """A fresh interpreter imports the peer and nothing else; its bytecode is cached."""

    name = "footprint"
    title = "Importing the library"
    about = "In a fresh interpreter: time of the import alone, and resident memory of the process after it."
    figures = (
        Figure("milliseconds", "import ms", Better.LESS, compared=True),
        Figure("rss", "RSS MB", Better.LESS),
    )

    def able(self, peer: Peer) -> bool:
        del peer
        return True

    def prepare(self, stand: Stand, peer: Peer) -> int:
        self.round(stand, peer, 0)
        return 0

    def round(self, stand: Stand, peer: Peer, size: int) -> dict[str, float]:
        del stand, size
        if peer.is_node:
            command = ["node", "-e", NODE.format(imports=peer.imports)]
        else:
            command = [environments.python(peer), "-c", PYTHON.format(imports=peer.imports)]
        caching = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # as for anyone who has not forbidden it
        seconds, rss = json.loads(run_program(command, caching | environments.variables(peer), SECONDS))
        return {"milliseconds": seconds * 1e3, "rss": rss / 1e6}
