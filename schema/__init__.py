"""The vocabulary of Mingcha (明察): one file a noun, records with their pure rules; no I/O, no clock, no randomness."""
