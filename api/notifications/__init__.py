"""Offer operations on subscriptions, push messages and webhooks."""
