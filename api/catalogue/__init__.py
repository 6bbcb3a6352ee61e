"""Offer the operations on the catalogue: grades, service items and fee items."""
