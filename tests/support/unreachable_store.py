"""Make an object store that can't be reached."""

from storage.s3.client import ObjectStore


def unreachable_store() -> ObjectStore:
    """Return an object store whose address refuses connections."""
    gone = "http://127.0.0.1:1"
    return ObjectStore(endpoint=gone, public_endpoint=gone, bucket="b", access_key="a", secret_key="s", region="r")
