"""Define what all record types share: ids, nodes, pages, times, digests, refusals and the request's context."""
