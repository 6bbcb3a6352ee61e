"""Define photos, videos, sounds and documents: their upload, their facts and the links to them."""
