"""Talk to S3: the client, bucket rules and multipart uploads."""
