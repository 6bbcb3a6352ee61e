"""Queue the observations that the phone has not delivered yet, and keep their receipts."""
