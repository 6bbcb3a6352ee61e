"""Test content encodings: the caller's choice, complete decompression, and refusal of bad content in little memory."""

import tracemalloc
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from api.http.content_encodings import (
    MAX_FRAMES,
    BadContentEncodingError,
    ContentTooLargeError,
    compress,
    decompress,
    negotiate_encoding,
)
from tests.support.compression_bombs import LIMIT, TEXT, gzip_bomb, zstd_bomb


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP, Zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0.5, gzip;q=0.8", "gzip"),
        ("zstd;q=0, gzip", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0, *", "zstd"),
        ("*", "zstd"),
        ("*;q=0", None),
        ("*;q=0, gzip;q=0.001", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0", None),
        ("gzip;q=nonsense", None),
    ],
)
def test_the_accept_encoding_header_chooses_the_encoding(accept: str | None, coding: str | None) -> None:
    assert negotiate_encoding(accept) == coding


@given(st.binary(max_size=3000), st.integers(1, 3), st.sampled_from(["zstd", "gzip"]))
def test_compressed_bytes_are_restored_up_to_the_limit(body: bytes, frames: int, coding: str) -> None:
    assert decompress(compress(body, coding) * frames, coding, len(body) * frames) == body * frames
    if body:
        with pytest.raises(ContentTooLargeError):
            decompress(compress(body, coding) * frames, coding, len(body) * frames - 1)


@given(st.binary(min_size=1, max_size=300), st.data(), st.sampled_from(["zstd", "gzip"]))
def test_truncated_content_and_extra_bytes_are_refused(body: bytes, data: st.DataObject, coding: str) -> None:
    whole = compress(body, coding)
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    for garbled in (cut, whole + b"more", whole + cut, body + whole):
        with pytest.raises((BadContentEncodingError, ContentTooLargeError)):
            decompress(garbled, coding, 10_000)


@given(st.binary(min_size=1, max_size=300), st.sampled_from(["zstd", "gzip"]))
def test_arbitrary_bytes_are_decompressed_within_the_limit_or_refused(body: bytes, coding: str) -> None:
    with suppress(BadContentEncodingError, ContentTooLargeError):
        assert len(decompress(body, coding, 100)) <= 100


@pytest.mark.parametrize(("coding", "bomb"), [("zstd", zstd_bomb()), ("gzip", gzip_bomb())])
def test_a_compression_bomb_is_refused_with_little_memory(coding: str, bomb: bytes) -> None:
    assert len(bomb) < 256 * 1024
    tracemalloc.start()
    with pytest.raises(ContentTooLargeError):
        decompress(bomb, coding, 256 * 1024)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize("coding", ["zstd", "gzip"])
def test_a_flood_of_frames_is_refused(coding: str) -> None:
    assert MAX_FRAMES == 64
    assert decompress(compress(b"a", coding) * MAX_FRAMES, coding, LIMIT) == b"a" * MAX_FRAMES
    with pytest.raises(BadContentEncodingError):
        decompress(compress(b"", coding) * (MAX_FRAMES + 1), coding, LIMIT)


def test_an_oversized_window_and_an_unknown_dictionary_are_refused() -> None:
    """A window of 8 MiB is accepted, a larger one is not."""

    def packed(window_log: int) -> bytes:
        parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=window_log)
        packing = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        return packing.compress(TEXT) + packing.flush()

    assert decompress(packed(23), "zstd", LIMIT) == TEXT
    for window_log in (24, 27):
        with pytest.raises(BadContentEncodingError):
            decompress(packed(window_log), "zstd", LIMIT)
    with pytest.raises(BadContentEncodingError):
        decompress(
            zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(TEXT)).compress(TEXT), "zstd", LIMIT
        )
