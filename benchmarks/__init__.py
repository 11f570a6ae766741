"""What the bridge costs and how fast it is, as ratios: `python -m benchmarks`, or `make bench`.

A machine's speed says nothing of the code, so every figure is either a count or a ratio to a yardstick measured in the
same run: a bare view that stores one row, the time Kommo's ceiling allows, the same page over an almost empty table.
Scenarios run one by one, each in a process of its own, on a database of its own.
"""

import sys
from pathlib import Path

# The local Kommo, which a checkout brings along.
sys.path.append(str(Path(__file__).resolve().parent.parent / "packages" / "kommo-sandbox" / "src"))
