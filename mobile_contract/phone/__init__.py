"""Run a phone in the terminal. It keeps observations on disk until the server has them.

The phone imports no server code. It knows the server only over HTTP, as every other client does.
"""
