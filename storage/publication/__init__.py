"""Store redactions: copies that may be shown outside."""
