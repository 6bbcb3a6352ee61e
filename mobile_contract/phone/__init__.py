"""Run a phone in the terminal, which keeps observations on disk until the server has them.

It is a client like any other: it imports nothing of the server, and learns everything over HTTP.
"""
