"""Store push tokens and webhooks with their deliveries, and read the events of changed records."""
