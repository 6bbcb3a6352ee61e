"""Store the phone's data: database, encrypted files and keys."""
