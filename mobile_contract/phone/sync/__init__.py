"""Hand in and pull."""
