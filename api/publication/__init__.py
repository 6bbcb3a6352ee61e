"""Offer operations on redactions: copies of photos that may be shown to the public."""
