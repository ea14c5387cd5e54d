"""``python -m jobfleet`` is ``jobfleet``."""

from jobfleet.cli import main

main()
