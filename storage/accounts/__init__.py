"""Store users, their sessions, devices and tokens."""
