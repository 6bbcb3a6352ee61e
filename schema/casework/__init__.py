"""Define cases, assignments, answers and notes."""
