"""Define service items and fee items."""
