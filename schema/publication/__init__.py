"""Define redactions: copies of photos that may be released."""
