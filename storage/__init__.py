"""Everything that touches MongoDB, S3 or pixels; it leaves who may ask to the filters that `api` passes in."""
