"""The operations of the API, and the processes that serve them. Records and their rules are in `schema`."""
