"""Check the clauses of the protocol. Each file checks clauses of one chapter."""
