"""Define the phone's commands, and print their results."""
