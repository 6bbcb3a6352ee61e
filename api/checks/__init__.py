"""Offer operations on checks of observations and the flags they raise."""
