"""Offer operations on redactions: copies that may be shown outside."""
