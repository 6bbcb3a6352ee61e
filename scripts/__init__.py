"""Commands for operators and developers. They are thin: the other packages do the work."""
