"""Offer operations on users, their sessions, devices and tokens."""
