"""Store the sequence of changes that phones pull."""
