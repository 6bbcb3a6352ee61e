"""Forge packs: take real ones apart, change them, and write them again as a forger would."""

import asyncio
import io
import json
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from api.accounts.key_ring import KeyRing
from api.evidence.evidence_keys import EvidenceKeys
from api.evidence.zip_stream import Archive
from api.settings import Settings
from scripts.demo.scenes import draw_scene
from scripts.stored_zip import BadZipError
from scripts.verify import verify_pack
from storage.embedded.engines import Addresses
from storage.mongodb.client import Mongo
from storage.store import Store
from tests.support.packs import PHOTO, files_of, observed, packed, verified
from tests.support.world import World

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
        """Return the files with a matching, signed manifest. Somebody who has a signing key can forge such a pack."""
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
    """Return a ZIP of these files, written as a pack is. Its time is that of the pack `like`."""
    made_at = json.loads(files_of(like)["manifest.json"])["madeAt"]
    archive = Archive(datetime.fromisoformat(made_at))
    pieces = [archive.add(*each) for each in (files.items() if isinstance(files, dict) else files)]
    return b"".join([*pieces, archive.end()])


Tamper = Callable[[Pack], list[tuple[str, bytes]]]


def without(name: Callable[[Pack], str]) -> Tamper:
    return lambda pack: [(each, body) for each, body in pack.files.items() if each != name(pack)]


def put_in(name: str, at: int | None = None) -> Tamper:
    def tamper(pack: Pack) -> list[tuple[str, bytes]]:
        files = list(pack.files.items())
        files.insert(len(files) if at is None else at, (name, b"something"))
        return files

    return tamper


def swapped_places(pack: Pack) -> list[tuple[str, bytes]]:
    first, second, *others = pack.files.items()
    return [second, first, *others]


def swapped_contents(pack: Pack) -> list[tuple[str, bytes]]:
    files, first, second = pack.files, pack.original(0), pack.original(1)
    return list((files | {first: files[second], second: files[first]}).items())


def renamed(pack: Pack) -> list[tuple[str, bytes]]:
    return [
        (each.replace("001-001", "001-009") if "originals" in each else each, body) for each, body in pack.files.items()
    ]


def edited(pack: Pack) -> list[tuple[str, bytes]]:
    return list((pack.files | {"case.json": pack.files["case.json"].replace("无人".encode(), "有人".encode())}).items())


def edited_with_its_digest(pack: Pack) -> list[tuple[str, bytes]]:
    files = dict(edited(pack))
    return list((pack.signed(files) | {"manifest.sig": files["manifest.sig"]}).items())


def rezipped(pack: Pack, prefix: bytes = b"", **changes: Any) -> bytes:
    """Return the pack's files in a ZIP that Python's `zipfile` has written. Every ZIP program can read it."""
    stream = io.BytesIO(prefix)
    stream.seek(0, 2)
    with zipfile.ZipFile(stream, "a" if prefix else "w") as archive:
        archive.comment = changes.get("comment", b"")
        for name, body in pack.files.items():
            info = zipfile.ZipInfo(changes.get("named", str)(name), (2026, 11, 23, 9, 0, 0))
            info.extra, info.comment = changes.get("extra", b""), changes.get("about", b"")
            info.compress_type = changes.get("method", zipfile.ZIP_STORED)
            archive.writestr(info, body)
    found = zipfile.ZipFile(io.BytesIO(stream.getvalue()))
    assert found.testzip() is None
    assert len(found.namelist()) == len(pack.files)
    return stream.getvalue()


def made_pack(engines: Addresses, folder: Path) -> Pack:
    """Make a case of two observations with three photos. Return the officer's pack of the case, with identities."""
    name = f"test-{uuid.uuid4().hex}"

    async def made() -> Pack:
        mongo = Mongo(engines.mongo_url, name.replace("-", "_"), driver="pymongo")
        objects = replace(engines, s3_bucket=name).store()
        await objects.make_bucket()
        settings = Settings(data=folder)
        try:
            world = await World(Store(mongo, objects), settings, KeyRing(settings.keys_folder)).build()
            first = await observed(world, PHOTO, draw_scene(2, 320, 240, ["1000"]), deviceSequence=4)
            second = await observed(world, draw_scene(3, 320, 240, ["1100"]))
            await verified(world, folder)
            case = await world.open_case("officer", first, second)
            body = await packed(world, "officer", case["id"], identities=True)
            return Pack(body, EvidenceKeys(settings.keys_folder))
        finally:
            await mongo.drop()
            await objects.drop_bucket()
            objects.close()
            await mongo.close()

    return asyncio.run(made())


def found_in(body: bytes, fingerprint: str | None = None) -> str:
    """Verify a pack that must be refused, and return the reason."""
    with pytest.raises(BadZipError) as wrong:
        verify_pack(io.BytesIO(body), fingerprint)
    return str(wrong.value)
