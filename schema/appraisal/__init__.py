"""Define ratings and what follows from them."""
