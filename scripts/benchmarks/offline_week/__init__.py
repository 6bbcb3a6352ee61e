"""Measure a week offline: fill a phone without network, sync it through a bad network, and count everything."""
