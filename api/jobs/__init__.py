"""Run background work: leases and concurrency."""
