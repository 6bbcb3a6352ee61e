"""Trusted documents: the named operations by SHA-256, as the manifest beside this file lists them.

What a server does with a request that names one is its own business; phones may send either a document's id or its text.
The manifest has the form that Apollo's tools read (`apollo-persisted-query-manifest`, version 1).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

FOLDER = Path(__file__).parent
OPERATIONS = FOLDER / "operations"
MANIFEST, RETIRED = FOLDER / "documents.json", FOLDER / "retired.json"
"""The documents as they stand, and those that phones of earlier levels send."""
_HEAD = re.compile(r"^(query|mutation|subscription)\s+(\w+)", re.MULTILINE)


def digest(text: str) -> str:
    """SHA-256 of a document's UTF-8 bytes, in hexadecimal: its id."""
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def text_of(name: str) -> str:
    """The text of a named operation, sent to the letter."""
    return (OPERATIONS / f"{name}.graphql").read_text(encoding="utf-8")


def operation_names() -> list[str]:
    return sorted(file.stem for file in OPERATIONS.glob("*.graphql"))


def manifest() -> dict[str, Any]:
    """The manifest of the operations as they stand. Raises `ValueError` for a file that doesn't begin one operation."""
    return {
        "format": "apollo-persisted-query-manifest",
        "version": 1,
        "operations": [_entry(name, text_of(name)) for name in operation_names()],
    }


def manifest_text(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"


def trusted_documents() -> Mapping[str, str]:
    """Texts by id, as both files list them. Raises `ValueError` for a text that isn't its id's."""
    found = {}
    for file in (RETIRED, MANIFEST):
        for each in json.loads(file.read_text(encoding="utf-8"))["operations"]:
            if digest(each["body"]) != each["id"]:
                raise ValueError(f"{file.name}: {each['id']} is not the SHA-256 of its document")
            found[each["id"]] = each["body"]
    return MappingProxyType(found)


def _entry(name: str, text: str) -> dict[str, str]:
    heads = _HEAD.findall(text)
    if [head[1] for head in heads] != [name]:
        raise ValueError(f"{name}.graphql must hold the one operation {name}")
    return {"id": digest(text), "name": name, "type": heads[0][0], "body": text}
