"""Store what a phone hands in and pulls."""
