"""Store observations, from a phone's draft to a record."""
