"""Log, count and trace."""
