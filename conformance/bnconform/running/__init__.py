"""One law on one implementation: the search, the examiner, the session, profiles, the ledger, vetting."""
