"""The demo: `make demo`, or `python examples/photos/demo.py --help`.

Brings a Kubernetes up, installs jobfleet, sends photographs through a fleet that starts at zero workers, proves the
result, and takes everything away again. Its last line is the verdict; its exit status is 0 only if that is right.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parent))

from photo_demo import chart, images
from photo_demo.console import say, step
from photo_demo.diagnosis import diagnosis
from photo_demo.errors import DemoError
from photo_demo.keeping import farewell
from photo_demo.kubectl import Kubectl
from photo_demo.stage import perform
from photo_demo.tool import tool

CLUSTER = "demo"
NAMESPACE = "photos"
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main() -> int:
    """Run the demo; return the exit status."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=500, help="photographs [500]")
    options.add_argument(
        "--keep", action="store_true", default=os.environ.get("KEEP") == "1", help="leave the cluster up [KEEP=1]"
    )
    chosen = options.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _interrupt)
    stays = False
    try:
        # Both take their time, and neither needs the other.
        with ThreadPoolExecutor(1) as beside:
            building = beside.submit(_build)
            with step("bring up the cluster"):
                kubeconfig = Path(tool("up", "--name", CLUSTER))
            # From here on there is something that KEEP can keep, also when the rest fails.
            stays = chosen.keep
            built = building.result()
        kubectl = Kubectl(Path(tool("path", "kubectl")), kubeconfig, NAMESPACE)
        status, last_line = _run(kubectl, built, chosen.count)
    except DemoError as error:
        status, last_line = 1, f"demo: failed: {error}"
    except KeyboardInterrupt:
        status, last_line = INTERRUPTED, "demo: interrupted"
    finally:
        if not stays:
            _take_down()
    if stays:
        own = None if shutil.which("kubectl") else Path(tool("path", "kubectl"))
        print(farewell(kubeconfig, NAMESPACE, CLUSTER, own))
    print(last_line, flush=True)
    return status


def _build() -> images.Images:
    with step("build the images"):
        return images.build()


def _run(kubectl: Kubectl, built: images.Images, count: int) -> tuple[int, str]:
    """Return the exit status and the last line."""
    try:
        with step("load the images into the nodes"):
            tool("load", *map(str, built.archives), "--name", CLUSTER)
        with step("install the chart: operator, resource definitions, Redis"):
            chart.install(Path(tool("path", "helm")), kubectl, redis_image=built.redis)
        verdict, times = perform(kubectl, count)
        problems = verdict.problems(count)
        if problems:
            print(diagnosis(kubectl, product=chart.NAMESPACE, example=NAMESPACE))
    except DemoError:
        print(diagnosis(kubectl, product=chart.NAMESPACE, example=NAMESPACE))
        raise
    print(*(f"  {line}" for line in ["times:", *times.lines()]), sep="\n")
    for problem in problems:
        say(f"wrong: {problem}")
    if not problems:
        say(f"{count} thumbnails open and differ; {count} jobs completed; none failed, lost, or run twice")
    return int(bool(problems)), verdict.summary


def _take_down() -> None:
    # A second Ctrl-C must not leave half a cluster behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with step("take the cluster down"):
            tool("down", "--name", CLUSTER)
    except DemoError as error:
        say(str(error))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
