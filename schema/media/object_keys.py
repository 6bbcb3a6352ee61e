"""Name the keys of originals (原件) in the object store.

A key contains the medium's id and digest. Rejected bytes stay where they are; their replacement gets the next key.
"""

import re

_KEY = re.compile(r"originals/(med_[0-9a-f-]{36})-[0-9a-f]{64}(?:\.([0-9]{1,6}))?")
FOLDER = "originals/"


def first_key(media_id: str, sha256: str) -> str:
    """Return the key of a medium's first upload.

    Originals share one folder: a SeaweedFS that is killed between writing an object and its folder never lists that
    folder, and so hides the object.
    """
    return f"{FOLDER}{media_id}-{sha256}"


def next_key(key: str) -> str:
    """Return the key of the upload after a rejected one: `KEY`, then `KEY.2`, then `KEY.3`."""
    match = _KEY.fullmatch(key)
    if match is None or match[2] is None:
        return f"{key}.2"
    return f"{key.rpartition('.')[0]}.{int(match[2]) + 1}"


def media_id_of(key: str) -> str | None:
    """Return the id of the medium whose original is at `key`; None for any other object."""
    match = _KEY.fullmatch(key)
    return match[1] if match else None
