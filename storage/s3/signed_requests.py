"""Describe requests to sign, and the signed requests that phones and browsers send."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Put:
    """A PUT to sign. The signature covers `byte_size`, and the content type and the digests (hexadecimal) if set."""

    key: str
    byte_size: int
    content_type: str | None = None
    sha256: str | None = None
    md5: str | None = None
    upload_id: str | None = None
    part: int | None = None


@dataclass(frozen=True)
class SignedUrl:
    """A signed request: the URL, and the headers that the client must send unchanged."""

    url: str
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Form:
    """A signed POST policy: the URL, and the fields that a browser sends before the file."""

    url: str
    fields: tuple[tuple[str, str], ...]
