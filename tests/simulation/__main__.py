"""`python -m tests.simulation --seeds 10000`: many runs, and the seeds of those with a violation."""

from __future__ import annotations

import sys

from tests.seeds import main
from tests.simulation.run import PROGRAM, run

if __name__ == "__main__":
    sys.exit(main(PROGRAM, __doc__, run))
