"""Run a real mongod and a real S3 server (the engines) on this machine, for installations without their own."""
