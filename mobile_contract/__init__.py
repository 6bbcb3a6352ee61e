"""Hold what phones need: the printed SDL, the named operations and the reference phone. Imports nothing of the server."""
