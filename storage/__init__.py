"""Everything that touches MongoDB, S3 or pixels. Permissions are not checked here: `api` passes in filters for them."""
