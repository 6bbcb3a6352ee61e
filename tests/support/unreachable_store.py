"""Stand for an object store that is down."""

from storage.s3.client import ObjectStore


def unreachable_store() -> ObjectStore:
    """An object store that is down."""
    gone = "http://127.0.0.1:1"
    return ObjectStore(endpoint=gone, public_endpoint=gone, bucket="b", access_key="a", secret_key="s", region="r")
