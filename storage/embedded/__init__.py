"""Run a real mongod and a real S3 server on this machine, for installations that have none. They are called engines."""
