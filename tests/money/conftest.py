"""What is run here is shared with the benchmarks, which are scripts of this repository."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
