"""A phone for the terminal: keeps observations on disk until the server has them; sends only the operations beside it.

It is a client like any other: nothing of the server's is imported, everything it knows comes over HTTP.
"""
