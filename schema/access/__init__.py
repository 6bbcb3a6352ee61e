"""Define who may see and do what."""
