"""Handle HTTP itself: errors, encodings, admission control and contract levels."""
