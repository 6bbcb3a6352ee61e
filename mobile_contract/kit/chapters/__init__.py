"""Check the clauses of the protocol, chapter by chapter."""
