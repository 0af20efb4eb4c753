"""Why an implementation is wrong, where what it gives is what a known mistake would give."""

from bnconform.diagnosis.probes import diagnose

__all__ = ["diagnose"]
