"""Measure speed, recall and the cost of an offline week."""
