"""Upload media to the object store."""
