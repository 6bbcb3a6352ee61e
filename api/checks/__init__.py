"""Check observations, and offer the operations on flags and thresholds."""
