"""Checks of batch norm as they are usually made, re-created and set on the zoo's faulty implementations.

The zoo is modules that find one another by their folder; importing this package puts it on the path.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
if (_zoo := str(ROOT / "tests" / "zoo")) not in sys.path:
    sys.path.insert(0, _zoo)
