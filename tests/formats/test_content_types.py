"""Test how content types are recognized by magic number, in real files, crafted headers and look-alikes."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.formats.content_types import HEAD_BYTES, sniff

PHOTOS = Path(__file__).parents[3] / "shared/data/photos"


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="../shared/data is missing")
def test_real_files_have_the_content_types_of_the_truth() -> None:
    truth = json.loads((PHOTOS / "truth.json").read_text())["files"]
    found = {entry["file"]: sniff((PHOTOS / entry["file"]).read_bytes()[:HEAD_BYTES]) for entry in truth}
    assert found == {entry["file"]: entry["mime"] for entry in truth}


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    brands = b"".join(brand.ljust(4) for brand in compatible)
    return (16 + len(brands)).to_bytes(4) + b"ftyp" + major.ljust(4) + b"\0\0\0\0" + brands


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"\xff\xd8\xff\xe1", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (ftyp(b"heic", b"mif1", b"heic"), "image/heic"),
        (ftyp(b"mif1", b"mif1", b"heic"), "image/heic"),
        (ftyp(b"mif1", b"isom", b"avif"), "image/avif"),
        (ftyp(b"avif", b"mif1", b"miaf"), "image/avif"),
        (ftyp(b"isom", b"iso2", b"3gp4"), "video/mp4"),
        (ftyp(b"mmp4", b"mp42"), "video/mp4"),
        (ftyp(b"qt", b"qt"), "video/quicktime"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "video/quicktime"),
        (ftyp(b"3gp5", b"isom"), "video/3gpp"),
        (ftyp(b"M4A", b"mp42", b"isom"), "audio/mp4"),
        (b"ID3\x04\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"#!AMR\n\x3c", "audio/amr"),
        (b"#!AMR-WB\n\x44", "audio/amr"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\xef\xbb\xbf%PDF-1.7\n", "application/pdf"),
        (b"\r\n\r\n%PDF-1.7\n", "application/pdf"),
        (b"x" * 1024 + b"%PDF-1.7\n", "application/pdf"),
    ],
)
def test_every_allowed_type_is_recognized(head: bytes, content_type: str) -> None:
    assert sniff(head) == content_type


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff\xd8",
        b"\x89PNG\n",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<html>%PDF-1.7",
        b"\xef\xbb\xbf <svg>%PDF-1.7",
        b"MZ\x90\0%PDF-1.7",
        b"x" * 1025 + b"%PDF-1.7",
        b"GIF89a",
        b"MM\0*\0\0\0\x08",
        b"PK\x03\x04",
        b"MZ\x90\0",
        b"\xff\xf1\x50\x80",  # AAC in ADTS: the same sync word as MP3, another layer
        b"\xff\xfb\xf0\x64",  # a bit rate that doesn't exist
        b"\xff\xff\xff\xff",
        ftyp(b"crx", b"crx", b"isom"),
        ftyp(b"jp2", b"jp2"),
        b"\0\0\0\0ftyp",
        b"\0\0\0\x01ftypisom",
    ],
)
def test_other_types_are_not_recognized(head: bytes) -> None:
    assert sniff(head) is None


@given(st.binary(max_size=80))
def test_sniffing_never_raises(head: bytes) -> None:
    sniff(head)
    sniff(head[:4] + b"ftyp" + head[4:])
