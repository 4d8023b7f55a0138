"""`python -m tests.storm --seeds 10000`: many storms on a clock that jumps, and the seeds of those with a violation."""

from __future__ import annotations

import gc
import sys

from tests.seeds import main
from tests.storm.seeded.run import PROGRAM, run

if __name__ == "__main__":
    gc.freeze()  # so that a collection between two runs looks at what the first one has left
    sys.exit(main(PROGRAM, __doc__, run))
