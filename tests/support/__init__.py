"""Help tests: worlds, engines, clients and files."""
