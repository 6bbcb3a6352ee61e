"""Repacking: packs taken apart, changed and written again, as somebody would who wants to pass one off.

What verifying says of them is left to the tests.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rfc8785

from api.evidence_keys import EvidenceKeys
from api.pack_archive import Archive
from tests.packs import files_of

Files = dict[str, bytes]


@dataclass(frozen=True)
class Pack:
    body: bytes
    keys: EvidenceKeys

    @property
    def files(self) -> Files:
        return dict(files_of(self.body))

    @property
    def fingerprint(self) -> str:
        return self.keys.signing.fingerprint

    def original(self, number: int = 0) -> str:
        return [name for name in self.files if name.startswith("originals/")][number]

    def signed(self, files: Files, keys: EvidenceKeys | None = None, **changes: Any) -> Files:
        """The files with a manifest that fits them, signed: what somebody who holds a key could make."""
        keys = keys or self.keys
        manifest = json.loads(files["manifest.json"]) | changes
        for each in manifest["files"]:
            body = files[each["path"]]
            [(_, packed)] = [(name, file) for name, file in archived([(each["path"], body)]).items()]
            each |= {"byteSize": len(body), "sha256": packed}
        manifest["key"] = {"algorithm": "Ed25519", "fingerprint": keys.signing.fingerprint}
        return files | own_signature(rfc8785.dumps(manifest), keys)


def own_signature(manifest: bytes, keys: EvidenceKeys) -> Files:
    return {"manifest.json": manifest, "manifest.sig": keys.sign(manifest, keys.signing)}


def archived(files: list[tuple[str, bytes]]) -> dict[str, str]:
    archive = Archive(datetime.now().astimezone())
    for name, body in files:
        archive.add(name, body)
    return {each.path: each.sha256 for each in archive.files}


def zipped(files: Files | list[tuple[str, bytes]], like: bytes) -> bytes:
    """A ZIP of these files as packs are written, with the time of another pack."""
    made_at = json.loads(files_of(like)["manifest.json"])["madeAt"]
    archive = Archive(datetime.fromisoformat(made_at))
    pieces = [archive.add(*each) for each in (files.items() if isinstance(files, dict) else files)]
    return b"".join([*pieces, archive.end()])
