"""Assemble and run the processes: the application, its routes and the worker."""
