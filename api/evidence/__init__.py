"""Offer operations on evidence packs, signed receipts and keys."""
