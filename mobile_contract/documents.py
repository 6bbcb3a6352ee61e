"""List the trusted documents: the texts of the phones' named operations, each identified by its SHA-256.

A phone can send either a document's id or its text.
The manifest `documents.json` has the format of Apollo's tools (`apollo-persisted-query-manifest`, version 1).
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
"""The files of the current documents, and of documents that phones of earlier contract levels still send."""
_HEAD = re.compile(r"^(query|mutation|subscription)\s+(\w+)", re.MULTILINE)


def digest(text: str) -> str:
    """Return a document's id: the SHA-256 of its UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def text_of(name: str) -> str:
    """Return the exact text of a named operation."""
    return (OPERATIONS / f"{name}.graphql").read_text(encoding="utf-8")


def operation_names() -> list[str]:
    return sorted(file.stem for file in OPERATIONS.glob("*.graphql"))


def manifest() -> dict[str, Any]:
    """Build the manifest from the operation files.

    Raise `ValueError` unless each file holds exactly one operation, which has the file's name.
    """
    return {
        "format": "apollo-persisted-query-manifest",
        "version": 1,
        "operations": [_entry(name, text_of(name)) for name in operation_names()],
    }


def manifest_text(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"


def trusted_documents() -> Mapping[str, str]:
    """Return the texts of the current and the retired documents by id.

    Raise `ValueError` if an id is not the SHA-256 of its text.
    """
    texts = {}
    for file in (RETIRED, MANIFEST):
        for operation in json.loads(file.read_text(encoding="utf-8"))["operations"]:
            if digest(operation["body"]) != operation["id"]:
                raise ValueError(f"{file.name}: {operation['id']} is not the SHA-256 of its document")
            texts[operation["id"]] = operation["body"]
    return MappingProxyType(texts)


def _entry(name: str, text: str) -> dict[str, str]:
    heads = _HEAD.findall(text)
    if [head[1] for head in heads] != [name]:
        raise ValueError(f"{name}.graphql must hold the one operation {name}")
    return {"id": digest(text), "name": name, "type": heads[0][0], "body": text}
