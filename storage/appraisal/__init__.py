"""Store ratings of units, and compute their monthly means."""
