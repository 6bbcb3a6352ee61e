"""Offer operations on units, monitoring points and outlines of counties."""
