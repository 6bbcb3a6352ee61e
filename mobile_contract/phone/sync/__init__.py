"""Send the phone's items to the server, and pull changes from the server."""
