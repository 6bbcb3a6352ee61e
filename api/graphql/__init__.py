"""Execute GraphQL: the endpoint, limits, cost, context and loaders."""
