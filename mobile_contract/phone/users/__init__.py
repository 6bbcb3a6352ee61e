"""Let several people share one phone."""
