"""Test videos: damage, upright posters, and position, time, rotation and duration wherever phones write them."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest
from PIL import Image

from schema.checks.similarity import coarse_bits_apart, detail_bits_apart
from scripts.demo.scenes import draw_scene
from storage.formats.exif import ExifPositionProblem, Position
from storage.formats.movie_metadata import parse_iso_6709
from storage.formats.reader import examine
from storage.formats.results import Damage, ReadResult, from_json, to_json
from tests.support.media_files import box, edited, keys, loci, sound, video, with_matrix, xmp, xyz

XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
GANZHOU = (25.829217, 114.933612)


@pytest.fixture
def see(tmp_path: Path) -> Callable[[bytes], ReadResult]:
    def look(data: bytes) -> ReadResult:
        path = tmp_path / "upload"
        path.write_bytes(data)
        picture = examine(path)
        assert path.read_bytes() == data
        assert from_json(to_json(picture), ReadResult) == picture
        return picture

    return look


@pytest.mark.parametrize(("format", "type"), [("mp4", "video/mp4"), ("mov", "video/quicktime"), ("3gp", "video/3gpp")])
def test_a_video_gets_its_type_duration_size_and_thumbnails(
    see: Callable[[bytes], ReadResult], format: str, type: str
) -> None:
    picture = see(video(format))
    assert (picture.content_type, picture.duration_ms, picture.rotation, picture.damage) == (type, 500, 0, None)
    assert (picture.width, picture.height, picture.display_width, picture.display_height) == (96, 64, 96, 64)
    assert picture.position_problem is ExifPositionProblem.ABSENT
    assert [(each.width, each.height) for each in picture.thumbnails] == [(96, 64)] * 2


TURNS = {
    1: ((1, 0, 0, 1), 0),
    2: ((-1, 0, 0, 1), 0),
    3: ((-1, 0, 0, -1), 180),
    4: ((1, 0, 0, -1), 180),
    5: ((0, 1, 1, 0), 90),
    6: ((0, 1, -1, 0), 90),
    7: ((0, -1, -1, 0), 270),
    8: ((0, -1, 1, 0), 270),
}


@pytest.mark.parametrize("turn", TURNS)
def test_a_poster_is_upright(see: Callable[[bytes], ReadResult], turn: int) -> None:
    (a, b, c, d), rotation = TURNS[turn]
    one = 0x10000
    matrix = (a * one, b * one, 0, c * one, d * one, 0, 0, 0, 0x40000000)
    picture = see(edited(video(), lambda moov: with_matrix(moov, matrix)))
    sides = (64, 96) if turn >= 5 else (96, 64)
    assert (picture.turn, picture.rotation) == (turn, rotation)
    assert (picture.width, picture.height, picture.display_width, picture.display_height) == (96, 64, *sides)
    shown = Image.open(io.BytesIO(picture.thumbnails[0].data))
    assert shown.size == sides
    # Where the red left half of the stored picture is shown: its point x, y moves to ax + cy, bx + dy.
    for x, is_red in ((-32, True), (32, False)):
        at = (shown.width // 2 + a * x, shown.height // 2 + b * x)
        red, _, blue = shown.convert("RGB").getpixel(at)  # type: ignore[misc]
        assert (red > blue) == is_red
    assert not {0xE1, 0xED, 0xFE} & {each.data[at + 1] for each in picture.thumbnails for at in (2, 20)}
    assert b"Exif" not in picture.thumbnails[0].data


@pytest.mark.parametrize(
    ("extra", "source", "altitude"),
    [
        (xyz("+25.829217+114.933612/"), "QUICKTIME", None),
        (xyz("+25.829217+114.933612+118.500/"), "QUICKTIME", 118.5),
        (xyz("+2549.75302+11456.01672-2.5CRSWGS_84/"), "QUICKTIME", -2.5),
        (xyz("+254945.1812+1145601.0032/"), "QUICKTIME", None),
        (loci(*GANZHOU, 118.5), "QUICKTIME", 118.5),
        (loci(*GANZHOU, 1, name=b"\xfe\xff" + "赣州".encode("utf-16-be") + b"\0\0"), "QUICKTIME", 1.0),
        (keys(location__ISO6709="+25.829217+114.933612+118.500/"), "QUICKTIME", 118.5),
        (box(b"trak", xyz("+25.829217+114.933612/")), "QUICKTIME", None),
        (
            box(b"udta", box(b"XMP_", xmp('exif:GPSLatitude="25,49.75302N" exif:GPSLongitude="114,56.01672E"'))),
            "XMP",
            None,
        ),
    ],
    ids=range(9),
)
def test_the_position_is_read_from_every_atom(
    see: Callable[[bytes], ReadResult], extra: bytes, source: str, altitude: float | None
) -> None:
    picture = see(edited(video(), lambda moov: moov + extra))
    assert picture.damage is None
    assert picture.position_source == source
    assert picture.position
    # loci counts in 65536ths of a degree
    assert (picture.position.latitude, picture.position.longitude) == pytest.approx(GANZHOU, abs=1e-5)
    assert picture.position.altitude_metres == altitude


def test_the_position_is_read_from_an_xmp_packet_beside_the_movie(see: Callable[[bytes], ReadResult]) -> None:
    packet = box(b"uuid", XMP_UUID, xmp('exif:GPSLatitude="25,49.75302N" exif:GPSLongitude="114,56.01672E"'))
    assert (see(video() + packet).position_source, see(video()).position_source) == ("XMP", None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("+00.0000+000.0000/", ExifPositionProblem.NULL_ISLAND),
        ("+95.0000+114.0000/", ExifPositionProblem.OUT_OF_RANGE),
        ("+25.0000+181.0000/", ExifPositionProblem.OUT_OF_RANGE),
        ("+25+114/", ExifPositionProblem.MALFORMED),
        ("+2575.1+11400.1/", ExifPositionProblem.MALFORMED),
        ("25.8,114.9", ExifPositionProblem.MALFORMED),
        ("", ExifPositionProblem.EMPTY),
        ("+" + "9" * 400 + ".1+1.1/", ExifPositionProblem.MALFORMED),
    ],
)
def test_an_invalid_iso_6709_position_is_reported_with_its_reason(text: str, problem: ExifPositionProblem) -> None:
    assert parse_iso_6709(text) is problem


def test_negative_and_short_coordinates_are_read() -> None:
    assert parse_iso_6709("-25.8292-0.0806/") == Position(-25.8292, -0.0806)


def test_the_capture_time_and_the_header_time_are_kept_apart(see: Callable[[bytes], ReadResult]) -> None:
    said = keys(creationdate="2026-11-20T14:07:09+0800", make="Apple", model="iPhone X", software="12.1.2")
    stamp = (2_082_844_800 + 1_795_000_000).to_bytes(4)
    plain = edited(video(), lambda moov: moov[:12] + stamp + moov[16:] + said)
    picture = see(plain)
    assert (picture.taken_at, picture.taken_offset_minutes) == (datetime(2026, 11, 20, 14, 7, 9), 480)  # noqa: DTZ001
    assert picture.created_at == datetime.fromtimestamp(1_795_000_000, UTC)
    assert (picture.make, picture.model, picture.software) == ("Apple", "iPhone X", "12.1.2")
    from_1970 = edited(video(), lambda moov: moov[:12] + (1_795_000_000).to_bytes(4) + moov[16:])
    assert see(from_1970).created_at == datetime.fromtimestamp(1_795_000_000, UTC)
    assert see(edited(video(), lambda moov: moov[:12] + bytes(4) + moov[16:])).created_at is None


@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_truncated_video_is_reported(see: Callable[[bytes], ReadResult], tenths: int) -> None:
    whole = video()
    picture = see(whole[: len(whole) * tenths // 10])
    assert picture.damage is Damage.TRUNCATED
    assert picture.content_type == "video/mp4"


def test_a_movie_without_its_samples_is_reported_as_corrupt(see: Callable[[bytes], ReadResult]) -> None:
    whole = video()
    at = whole.rindex(b"moov") - 4
    first = see(whole[: int.from_bytes(whole[:4])] + whole[at:])
    assert (first.damage, first.width, first.duration_ms) == (Damage.CORRUPT, 96, 500)
    moved = whole.replace(
        b"stco" + bytes(7) + b"\1" + whole[whole.index(b"stco") + 12 :][:4], b"stco" + bytes(7) + b"\1\x7f" + bytes(3)
    )
    assert moved != whole
    assert see(moved).damage is Damage.CORRUPT


def test_an_implausible_duration_is_not_used(see: Callable[[bytes], ReadResult]) -> None:
    huge = edited(video(), lambda moov: moov[:20] + (1).to_bytes(4) + (2**32 - 2).to_bytes(4) + moov[28:])
    duration = see(huge).duration_ms
    assert duration is None or duration <= 500  # the duration of the track


def test_a_sound_with_a_video_brand_is_recognized_as_sound(see: Callable[[bytes], ReadResult]) -> None:
    picture = see(sound("mp4", "aac"))
    assert (picture.content_type, picture.width, picture.thumbnails, picture.damage) == ("audio/mp4", None, (), None)
    assert picture.duration_ms == pytest.approx(1000, abs=60)


def filmed(codec: str, format: str, seed: int) -> bytes:
    """Return a video of one scene that lasts a second."""
    stream = io.BytesIO()
    scene = Image.open(io.BytesIO(draw_scene(seed, 640, 480, [])))
    with av.open(stream, "w", format=format) as movie:
        track = movie.add_stream(codec, rate=10)
        assert isinstance(track, av.VideoStream)
        track.width, track.height, track.pix_fmt, track.bit_rate = 640, 480, "yuv420p", 2_000_000
        for _ in range(10):
            movie.mux(track.encode(av.VideoFrame.from_image(scene)))  # type: ignore[no-untyped-call]
        movie.mux(track.encode())
    return stream.getvalue()


def test_a_reencoded_video_is_similar_to_its_original(see: Callable[[bytes], ReadResult]) -> None:
    first, again, other = (
        see(filmed(*how)).likeness for how in (("mpeg4", "mp4", 21), ("libx264", "mov", 21), ("mpeg4", "mp4", 22))
    )
    assert first[0].cut == again[0].cut == 0
    assert coarse_bits_apart(first[0].coarse, again[0].coarse) <= 8
    assert detail_bits_apart(first[0].detail, again[0].detail) <= 24
    assert detail_bits_apart(first[0].detail, other[0].detail) > 24
