"""Define photos, videos, sounds and documents, from upload to link."""
