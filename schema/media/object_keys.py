"""Name the keys of originals (原件) in the object store.

A key contains the medium's id and SHA-256. Rejected bytes keep their key, and the bytes that replace them get the next
key.
"""

import re

_KEY = re.compile(r"originals/(med_[0-9a-f-]{36})-[0-9a-f]{64}(?:\.([0-9]{1,6}))?")
FOLDER = "originals/"


def first_key(media_id: str, sha256: str) -> str:
    """Return the key of a medium's first upload.

    All originals are in one folder. If each had its own folder, SeaweedFS could be killed after it wrote the object and
    before it wrote the folder. It would then never list that folder, which hides the object.
    """
    return f"{FOLDER}{media_id}-{sha256}"


def next_key(key: str) -> str:
    """Return the key for the bytes that replace rejected bytes at `key`: after `KEY` it is `KEY.2`, then `KEY.3`."""
    match = _KEY.fullmatch(key)
    if match is None or match[2] is None:
        return f"{key}.2"
    return f"{key.rpartition('.')[0]}.{int(match[2]) + 1}"


def media_id_of(key: str) -> str | None:
    """Return the id of the medium whose original is at `key`. Return None if `key` is no key of an original."""
    match = _KEY.fullmatch(key)
    return match[1] if match else None
