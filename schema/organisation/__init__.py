"""Define units, monitoring points and outlines of counties."""
