"""Define the domain of Mingcha (明察): the record types and their rules. The rules are pure functions.

This package does no I/O, reads no clock and draws no random numbers. Callers pass in the time and the random bytes.
"""
