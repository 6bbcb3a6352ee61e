"""Store users, their devices, sessions, login attempts and clock readings."""
