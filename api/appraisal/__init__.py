"""Offer the operations on ratings, and compute scores from ratings."""
