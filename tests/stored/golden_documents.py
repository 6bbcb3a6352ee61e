"""Compare stored documents, byte for byte, with goldens. A golden is a committed copy of a document."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from storage.mongodb.client import Mongo

FOLDER = Path(__file__).parent / "goldens"
Document = dict[str, Any]
_AWARE: CodecOptions[Document] = CodecOptions(tz_aware=True)
_RAW = CodecOptions(document_class=RawBSONDocument)


@dataclass(frozen=True)
class Goldens:
    mongo: Mongo
    is_recording: bool

    async def restore(self, collection: str, *ids: str) -> None:
        """Store the goldens with these ids, as an earlier version of the product stored them."""
        committed = json.loads((FOLDER / f"{collection}.json").read_text(encoding="utf-8"))
        raw = self.mongo.collection(collection)._raw
        for golden in committed:
            if golden["document"]["_id"] in ids:
                await raw.insert_one(RawBSONDocument(encoded(golden["document"])))

    async def check(self, collection: str, normalize: Callable[[Document], Mapping[str, Any]] | None = None) -> None:
        """Compare every document of the collection with its golden, in the order of ids.

        With `--record-goldens`, write the goldens first. `normalize` replaces values that storage makes up itself. All
        other values are compared unchanged.
        """
        raw = self.mongo.collection(collection)._raw.with_options(codec_options=_RAW)
        bodies: list[bytes] = [document.raw for document in await raw.find(sort=[("_id", 1)]).to_list(None)]
        if normalize is not None:
            bodies = [bson.encode(normalize(bson.decode(body, _AWARE))) for body in bodies]
        found = [{"sha256": hashlib.sha256(body).hexdigest(), "document": _extended(body)} for body in bodies]
        assert found, f"Nothing is stored in {collection}."
        path = FOLDER / f"{collection}.json"
        if self.is_recording:
            path.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        if not path.exists():
            pytest.fail(f"{collection} has no golden: look at what is stored, and record it with --record-goldens.")
        committed = json.loads(path.read_text(encoding="utf-8"))
        # As texts: two objects whose keys stand in another order are equal, their bytes are not.
        assert json.dumps(found, ensure_ascii=False, indent=2) == json.dumps(committed, ensure_ascii=False, indent=2)


def _extended(body: bytes) -> Any:
    """Return canonical extended JSON, whose keys are in the order in which they are stored."""
    document = bson.decode(body, _AWARE)
    return json.loads(json_util.dumps(document, json_options=json_util.CANONICAL_JSON_OPTIONS))


def encoded(golden: Any) -> bytes:
    """Return the BSON bytes of a golden, which is a document in canonical extended JSON."""
    return bson.encode(json_util.loads(json.dumps(golden), json_options=json_util.CANONICAL_JSON_OPTIONS))
