"""Run a real mongod and a real S3 engine for one machine."""
