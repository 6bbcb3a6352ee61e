"""Define subscriptions, push messages and webhooks."""
