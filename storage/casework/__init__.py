"""Store cases, assignments, answers and notes."""
