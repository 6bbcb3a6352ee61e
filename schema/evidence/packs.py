"""Evidence packs (证据包): what a pack's manifest says, and the names of the files in it.

Putting one together is left to `api`; checking one, which needs nothing of ours, to `scripts/verify.py`.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import rfc8785
import strawberry

from schema.access.permissions import SEEN, Row
from schema.core.context import Info
from schema.core.nodes import Node
from schema.core.times import print_instant

FORMAT = "mingcha-evidence-pack"
VERSION = 1
MAX_ENTRIES = 1_000
"""Media and revisions of one pack, together: reading so many keeps other requests waiting for some 0.3 s at worst.

A larger case goes into one pack an observation."""

MANIFEST, SIGNATURE, PUBLIC_KEY = "manifest.json", "manifest.sig", "evidence-key.pem"
PAGE, REPORT = "index.html", "report.pdf"
ENDINGS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/heic": "heic",
    "image/avif": "avif",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/3gpp": "3gp",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/amr": "amr",
    "application/pdf": "pdf",
}


@strawberry.type(description="A short-lived address of an evidence pack (证据包), made when it is asked for.")
class PackLink:
    url: str = strawberry.field(description="A path on this server: GET it before `expiresAt`; it needs no header.")
    expires_at: datetime = strawberry.field(description="When it stops working.")


def pack_of(
    root: Node,
    info: Info,
    identities: Annotated[
        bool,
        strawberry.argument(description="Also who inspected, reported or complained, as far as you may know it."),
    ] = False,
) -> PackLink:
    """The field `pack` of every record that one is made of."""
    return info.context.pack(root.id, identities=identities)


class IntegrityFinding(enum.Enum):
    """What the store had of an original, or of a thumbnail, when the pack was made."""

    SAME = "SAME"
    """The bytes that were handed in, by their SHA-256."""
    ALTERED = "ALTERED"
    """Other bytes: an original's are in the pack and are not the evidence, a thumbnail's are left out."""
    MISSING = "MISSING"
    """None, of a medium that had been verified."""
    NOT_READY = "NOT_READY"
    """The medium has not been verified; its bytes are not part of the pack."""
    UNRECORDED = "UNRECORDED"
    """Of a thumbnail alone: some bytes, and no digest to tell whether they are those that the server made."""


@dataclass(frozen=True)
class PackedFile:
    """One file of a pack as it was written: size in bytes, SHA-256 in hexadecimal."""

    path: str
    byte_size: int
    sha256: str


@dataclass(frozen=True)
class PackedMedium:
    """One medium of a pack: what is on record of it, and what was found; `path` is None where no bytes are packed."""

    id: str
    observation_id: str
    state: str
    sha256: str
    byte_size: int
    finding: IntegrityFinding
    path: str | None


@dataclass(frozen=True)
class PackedThumbnail:
    """The large thumbnail of a medium: `sha256` was noted when it was made, or is None; `path` is None where it is left out."""

    media_id: str
    sha256: str | None
    finding: IntegrityFinding
    path: str | None


@dataclass(frozen=True)
class PackedRevision:
    """One revision; `path` leads to what the device sent in canonical form, whose SHA-256 the receipt gave."""

    observation_id: str
    number: int
    path: str | None
    content_sha256: str | None
    note: str | None


@dataclass(frozen=True)
class PackAbout:
    """What a pack is of, who made it, and with which key it is signed; `maker` and `office` are names, or None."""

    id: str
    number: str | None
    made_at: datetime
    maker: str | None
    office: str | None
    identities: bool
    fingerprint: str

    @property
    def kind(self) -> str:
        return "case" if self.id.startswith("cas_") else "observation"

    @property
    def data_path(self) -> str:
        """The file that holds the record."""
        return f"{self.kind}.json"


def original_path(observation: int, medium: int, id: str, content_type: str) -> str:
    """`originals/003-012-med_....jpg`: third observation, twelfth medium; ASCII and safe on every file system."""
    return f"originals/{observation:03d}-{medium:03d}-{id}.{ENDINGS.get(content_type, 'bin')}"


def thumbnail_path(observation: int, medium: int, id: str) -> str:
    return f"thumbnails/{observation:03d}-{medium:03d}-{id}.jpg"


def submission_path(observation_id: str, number: int) -> str:
    return f"submissions/{observation_id}-{number:02d}.json"


def manifest(
    about: PackAbout,
    files: Sequence[PackedFile],
    media: Sequence[PackedMedium],
    thumbnails: Sequence[PackedThumbnail],
    revisions: Sequence[PackedRevision],
) -> bytes:
    """The manifest in canonical JSON (RFC 8785): whole numbers and strings only; files in the order of the ZIP.

    It lists every file but itself and its signature, which stand last.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "of": {"kind": about.kind, "id": about.id, "number": about.number},
        "madeAt": print_instant(about.made_at),
        "madeBy": {"name": about.maker, "office": about.office},
        "identities": about.identities,
        "key": {"algorithm": "Ed25519", "fingerprint": about.fingerprint},
        "files": [{"path": each.path, "byteSize": each.byte_size, "sha256": each.sha256} for each in files],
        "media": [
            {
                "id": each.id,
                "observationId": each.observation_id,
                "state": each.state,
                "sha256": each.sha256,
                "byteSize": each.byte_size,
                "finding": each.finding.value,
                "path": each.path,
            }
            for each in media
        ],
        "thumbnails": [
            {"mediaId": each.media_id, "sha256": each.sha256, "finding": each.finding.value, "path": each.path}
            for each in thumbnails
        ],
        "submissions": [
            {
                "observationId": each.observation_id,
                "revision": each.number,
                "contentSha256": each.content_sha256,
                "path": each.path,
                "note": each.note,
            }
            for each in revisions
        ],
    }
    return rfc8785.dumps(content)


PERMITS: tuple[Row, ...] = (("PackLink", SEEN, "url expiresAt"),)
