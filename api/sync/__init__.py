"""Offer operations on what a phone hands in and pulls."""
