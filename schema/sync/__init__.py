"""Define what a phone hands in and pulls."""
