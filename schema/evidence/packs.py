"""Define evidence packs (证据包): the manifest, the names of the files, and the link to a pack."""

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
"""Maximum number of media and revisions together in the pack of a case.

Reading that many delays other requests by about 0.3 s at worst. A larger case needs one pack for each observation.
"""

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


@strawberry.type(
    description="A short-lived link to an evidence pack (证据包). The server makes a new link for each request."
)
class PackLink:
    url: str = strawberry.field(
        description="Path of the pack on this server. Fetch the pack with GET before `expiresAt`. No headers are"
        " needed."
    )
    expires_at: datetime = strawberry.field(description="When the link stops working.")


def pack_of(
    root: Node,
    info: Info,
    identities: Annotated[
        bool,
        strawberry.argument(
            description="Whether the pack names the people who inspected, reported or complained. People whom you may"
            " not know are left out even then."
        ),
    ] = False,
) -> PackLink:
    """Resolve the field `pack` of cases and observations."""
    return info.context.pack(root.id, identities=identities)


class IntegrityFinding(enum.Enum):
    """The result of comparing the stored bytes of an original or a thumbnail with its record, when the pack is made."""

    SAME = "SAME"
    """The bytes have the recorded SHA-256."""
    ALTERED = "ALTERED"
    """The bytes do not have the recorded SHA-256.

    An altered original is in the pack, but is not the evidence that was received. An altered thumbnail is left out.
    """
    MISSING = "MISSING"
    """The medium was verified, but the object store no longer has the bytes."""
    NOT_READY = "NOT_READY"
    """The medium has not been verified. Its bytes are not in the pack."""
    UNRECORDED = "UNRECORDED"
    """Thumbnails only: no digest was recorded, so the bytes can't be compared."""


@dataclass(frozen=True)
class PackedFile:
    """One file of the pack, with the size in bytes and the SHA-256 (hexadecimal) of what was written."""

    path: str
    byte_size: int
    sha256: str


@dataclass(frozen=True)
class PackedMedium:
    """One medium of the pack: its record, and how the stored bytes compare with the record.

    `path` is the path of the original in the pack, or None if the bytes are not in the pack.
    """

    id: str
    observation_id: str
    state: str
    sha256: str
    byte_size: int
    finding: IntegrityFinding
    path: str | None


@dataclass(frozen=True)
class PackedThumbnail:
    """The large thumbnail of a medium.

    `sha256` is the digest that was recorded when the thumbnail was made, or None. `path` is None if the pack does not
    contain the thumbnail.
    """

    media_id: str
    sha256: str | None
    finding: IntegrityFinding
    path: str | None


@dataclass(frozen=True)
class PackedRevision:
    """One revision of an observation.

    The file at `path` holds what the device submitted, in canonical JSON. Its SHA-256 is the one in the receipt.
    If the submission is not in the pack, `path` is None and `note` says why.
    """

    observation_id: str
    number: int
    path: str | None
    content_sha256: str | None
    note: str | None


@dataclass(frozen=True)
class PackAbout:
    """What a pack is about: the record, the person who made the pack, and the fingerprint of the key that signs it.

    `id` and `number` identify the record. `maker` and `office` are the names of the person and of the person's office,
    or None.
    """

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
        """Path of the file in the pack that holds the record."""
        return f"{self.kind}.json"


def original_path(observation: int, medium: int, id: str, content_type: str) -> str:
    """Return the path of an original: `originals/003-012-med_....jpg` is the twelfth medium of the third observation.

    The path is ASCII and safe on every file system.
    """
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
    """Return the manifest in canonical JSON (RFC 8785). All numbers in it are integers.

    The manifest lists the files in the order of the ZIP. It does not list itself and its signature, which come last.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "of": {"kind": about.kind, "id": about.id, "number": about.number},
        "madeAt": print_instant(about.made_at),
        "madeBy": {"name": about.maker, "office": about.office},
        "identities": about.identities,
        "key": {"algorithm": "Ed25519", "fingerprint": about.fingerprint},
        "files": [{"path": file.path, "byteSize": file.byte_size, "sha256": file.sha256} for file in files],
        "media": [
            {
                "id": medium.id,
                "observationId": medium.observation_id,
                "state": medium.state,
                "sha256": medium.sha256,
                "byteSize": medium.byte_size,
                "finding": medium.finding.value,
                "path": medium.path,
            }
            for medium in media
        ],
        "thumbnails": [
            {
                "mediaId": thumbnail.media_id,
                "sha256": thumbnail.sha256,
                "finding": thumbnail.finding.value,
                "path": thumbnail.path,
            }
            for thumbnail in thumbnails
        ],
        "submissions": [
            {
                "observationId": revision.observation_id,
                "revision": revision.number,
                "contentSha256": revision.content_sha256,
                "path": revision.path,
                "note": revision.note,
            }
            for revision in revisions
        ],
    }
    return rfc8785.dumps(content)


PERMITS: tuple[Row, ...] = (("PackLink", SEEN, "url expiresAt"),)
