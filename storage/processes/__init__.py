"""Supervise child processes, and manage scratch folders and task groups."""
