"""Conformance tests for batch norm: requirements, generators, the judge, and a pytest plugin."""

__version__ = "0.1.0"
