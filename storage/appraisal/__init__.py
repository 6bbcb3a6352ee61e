"""Store ratings and what follows from them."""
