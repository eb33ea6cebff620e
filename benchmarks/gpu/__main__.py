"""python -m benchmarks.gpu PART SECONDS [--tiny]: one part of the benchmark; prints a JSON object for each figure."""

from __future__ import annotations

import sys

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.parts import PARTS

if __name__ == "__main__":
    part, seconds = sys.argv[1], float(sys.argv[2])
    PARTS[part](Bench.begin(seconds, tiny="--tiny" in sys.argv))
