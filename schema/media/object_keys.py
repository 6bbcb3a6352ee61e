"""Originals (原件): the keys under which the store has them; what lies there is left to `media.py`.

A key holds the medium's id and digest. Rejected bytes stay where they are: those that replace them get the next key.
"""

import re

_KEY = re.compile(r"originals/(med_[0-9a-f-]{36})-[0-9a-f]{64}(?:\.([0-9]{1,6}))?")
FOLDER = "originals/"


def first_key(media_id: str, sha256: str) -> str:
    """No key has a folder to itself: SeaweedFS killed between the two keeps an object whose folder it never lists."""
    return f"{FOLDER}{media_id}-{sha256}"


def next_key(key: str) -> str:
    """The key for the bytes that replace those at `key`, which were rejected: `...`, `....2`, `....3`."""
    found = _KEY.fullmatch(key)
    if found is None or found[2] is None:
        return f"{key}.2"
    return f"{key.rpartition('.')[0]}.{int(found[2]) + 1}"


def medium_of(key: str) -> str | None:
    """Id of the medium whose original lies at `key`; None for any other object."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None
