"""The ledger of known deviations, and a witness for each entry."""
