"""Offer the phone's commands and print what they find."""
