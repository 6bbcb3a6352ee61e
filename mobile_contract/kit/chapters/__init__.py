"""Check the clauses of the protocol, one chapter a file."""
