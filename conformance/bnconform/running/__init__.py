"""Running of a law on an implementation: the search, the examiner, the session, profiles, vetting."""
