"""Everything that touches MongoDB, S3 or pixels. Permissions are not checked here. Instead, `api` passes in filters."""
