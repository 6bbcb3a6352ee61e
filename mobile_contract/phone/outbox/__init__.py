"""Queue what the phone has yet to hand in."""
