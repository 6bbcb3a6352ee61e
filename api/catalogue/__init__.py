"""Offer operations on service items and fee items."""
