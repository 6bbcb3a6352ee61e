"""Offer the operations by which a phone syncs: it compares clocks and pulls changes."""
