"""`python -m jobfleet_operator` is `jobfleet-operator`."""

import sys

from jobfleet_operator.main import main

sys.exit(main())
