"""Measure the speed of the API: five workloads against the real product, and against the limit of its reads."""
