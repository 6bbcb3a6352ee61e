"""Talk to the server."""
