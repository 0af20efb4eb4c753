"""What is expected and how it is compared: the oracle, the judge, comparisons, findings and their evidence."""
