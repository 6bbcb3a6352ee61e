"""Talk to MongoDB: the client, codecs, errors, change streams and pages."""
