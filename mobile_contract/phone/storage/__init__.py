"""Keep what the phone holds: database, files and keys."""
