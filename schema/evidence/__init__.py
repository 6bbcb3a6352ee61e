"""Define evidence packs, signed receipts and keys."""
