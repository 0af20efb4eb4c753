"""Identification: find the dialect of an implementation from its outputs on small probes.

The claims say which probes an implementation takes; the answers are compared with them afterwards. Every answer is a
choice between alternatives. It is the one whose prediction is within the allowed error on every probe, while all others
are outside.
"""

from __future__ import annotations

from bnconform.identify.answers import Answer
from bnconform.identify.identity import Identity, identify

__all__ = ["Answer", "Identity", "identify"]
