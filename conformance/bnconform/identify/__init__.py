"""Which dialect an implementation speaks, found from outside: by its outputs on small probes, never by its claims.

The claims say what can be handed over, and are what the finding is compared with. Every answer is a choice between
alternatives: the one whose prediction is within the allowed error on every probe, where all others are outside.
"""

from __future__ import annotations

from bnconform.identify.answers import Answer
from bnconform.identify.identity import Identity, identify

__all__ = ["Answer", "Identity", "identify"]
