"""Offer operations on ratings and what follows from them."""
