"""Hold the contract for phones: the exported SDL, the named operations, a reference phone and a conformance kit.

Nothing in this package imports server code.
"""
