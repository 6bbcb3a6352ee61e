"""Offer operations on cases, assignments, answers and notes."""
