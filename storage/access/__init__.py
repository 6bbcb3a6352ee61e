"""Store who may see and do what."""
