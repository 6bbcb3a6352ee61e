"""Define the sync of a phone: what the phone reports, and the changes that it pulls."""
