"""Store service items and fee items."""
