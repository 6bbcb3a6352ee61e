"""Store redactions, find faces in photos, and make copies of photos that may be shown to the public."""
