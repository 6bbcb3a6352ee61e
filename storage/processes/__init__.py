"""Supervise child processes and their scratch folders."""
