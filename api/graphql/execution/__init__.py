"""Execute operations by plans that are compiled once, and leave all else to graphql-core."""
