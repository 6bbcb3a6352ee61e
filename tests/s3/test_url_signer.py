"""Test that signed URLs are those that the S3 client would sign."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from botocore.config import Config

from storage.s3.url_signer import UrlSigner

CREDENTIALS = {"access_key": "AKIA/EXAMPLE+", "secret_key": "wJalrXUtnFEMI/K7MDENG", "region": "cn-north-1"}
SHA256, MD5 = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", "CY9rzUYh03PK3k6DJie09g=="
LENGTH = {"content-length": "3000000"}
CASES: list[tuple[str, dict[str, Any], str, Mapping[str, str], Mapping[str, str]]] = [
    ("get_object", {"ResponseContentType": "image/jpeg"}, "GET", {}, {"response-content-type": "image/jpeg"}),
    ("get_object", {"ResponseContentType": "a b;c=~\"ü'&="}, "GET", {}, {"response-content-type": "a b;c=~\"ü'&="}),
    ("put_object", {"ContentLength": 3_000_000}, "PUT", LENGTH, {}),
    (
        "put_object",
        {
            "ContentLength": 3_000_000,
            "ContentType": "audio/ogg;  codecs=opus",
            "ChecksumSHA256": SHA256,
            "ContentMD5": MD5,
            "IfNoneMatch": "*",
        },
        "PUT",
        LENGTH
        | {
            "content-type": "audio/ogg;  codecs=opus",
            "x-amz-checksum-sha256": SHA256,
            "content-md5": MD5,
            "if-none-match": "*",
        },
        {},
    ),
    (
        "upload_part",
        {"ContentLength": 3_000_000, "ChecksumSHA256": SHA256, "UploadId": "2~a/b+c=", "PartNumber": 10_000},
        "PUT",
        LENGTH | {"x-amz-checksum-sha256": SHA256},
        {"uploadId": "2~a/b+c=", "partNumber": "10000"},
    ),
]


def parts_of(url: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Return a URL's parts. The order of the query has no meaning."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.path, sorted(parse_qsl(parts.query, strict_parsing=True))


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:8333",
        "https://s3.example.cn",
        "https://S3.example.cn:443/",
        "https://s3.example.cn/media/store/",
        "http://[::1]:9000",
    ],
)
def test_urls_are_signed_as_by_the_client(endpoint: str) -> None:
    signer = UrlSigner(endpoint=endpoint, **CREDENTIALS)
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=CREDENTIALS["access_key"],
        aws_secret_access_key=CREDENTIALS["secret_key"],
        region_name=CREDENTIALS["region"],
        config=Config(
            signature_version="s3v4", s3={"addressing_style": "path"}, request_checksum_calculation="when_required"
        ),
    )
    for key in ("media/01/med_01a2", "a b/~ü+%/c=&?#.jpg"):
        for operation, arguments, method, headers, query in CASES:
            given = {"Bucket": "media-1", "Key": key} | arguments
            known = parts_of(client.generate_presigned_url(operation, Params=given, ExpiresIn=900))
            now = datetime.strptime(dict(known[2])["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            assert (
                parts_of(signer.sign(method, "media-1", key, now=now, seconds=900, headers=headers, query=query))
                == known
            )
    client.close()


def test_the_key_of_another_day_is_derived_anew() -> None:
    def signer() -> UrlSigner:
        return UrlSigner(endpoint="https://s3.example.cn", **CREDENTIALS)

    today, used = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), signer()
    for now in (today, today + timedelta(seconds=1), today):
        assert used.sign("GET", "media", "a", now=now, seconds=60) == signer().sign(
            "GET", "media", "a", now=now, seconds=60
        )
