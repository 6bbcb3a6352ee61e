"""Handle HTTP itself: errors, encodings, limits, compression and contract levels."""
