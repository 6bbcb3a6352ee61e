"""Define positions, datums and the outline of China."""
