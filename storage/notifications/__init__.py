"""Store subscriptions, push messages and webhooks."""
