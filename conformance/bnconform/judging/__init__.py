"""Judging of results: the oracle, the judge, comparisons, findings and their evidence."""
