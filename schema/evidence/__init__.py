"""Define evidence packs (证据包)."""
