"""Define users, their sessions, devices and tokens."""
