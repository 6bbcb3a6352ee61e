"""A week without a line, measured: a phone is filled offline, then handed in through a bad network, and all of it is counted."""
