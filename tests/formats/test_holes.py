"""Test files with unwritten ranges, which read as zeros. Decoders show them grey or green, but we report damage."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from storage.formats.exif import ExifPositionProblem
from storage.formats.reader import examine
from storage.formats.results import Damage, ReadResult
from tests.support.media_files import box, sound, video, xmp
from tests.support.picture_files import saved

XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
NOISE = Image.effect_noise((640, 480), 60).convert("RGB")


@pytest.fixture
def see(tmp_path: Path) -> Callable[[bytes], ReadResult]:
    def look(data: bytes) -> ReadResult:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return examine(path)

    return look


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "HEIF"])
@pytest.mark.parametrize("reach", [0.7, 1])
def test_a_hole_in_a_picture_is_reported_and_the_rest_is_shown(
    see: Callable[[bytes], ReadResult], format: str, reach: float
) -> None:
    whole = saved(NOISE, format)
    assert (see(whole).damage, len(see(whole).thumbnails)) == (None, 2)
    start, stop = len(whole) // 2, int(len(whole) * reach)
    picture = see(whole[:start] + bytes(stop - start) + whole[stop:])
    assert (picture.damage, len(picture.thumbnails)) == (Damage.CORRUPT, 2)
    assert (picture.display_width, picture.display_height) == (640, 480)


@pytest.mark.parametrize(
    ("format", "side", "options"),
    [
        ("JPEG", 4000, {}),
        ("JPEG", 4000, {"optimize": True}),
        ("JPEG", 4000, {"progressive": True}),
        ("WEBP", 2000, {}),
        ("WEBP", 2000, {"lossless": True}),
        ("HEIF", 1000, {}),
    ],
)
def test_a_blank_picture_is_not_taken_for_a_hole(
    see: Callable[[bytes], ReadResult], format: str, side: int, options: dict[str, Any]
) -> None:
    """Encoders write almost only zeros for white paper, so zeros alone must not count as a hole."""
    picture = see(saved(Image.new("RGB", (side, side), "white"), format, **options))
    assert (picture.damage, len(picture.thumbnails)) == (None, 2)


def test_zeros_after_a_picture_are_not_damage(see: Callable[[bytes], ReadResult]) -> None:
    assert see(saved(NOISE) + bytes(10_000)).damage is None


def test_a_truncated_webp_shows_its_upper_part(see: Callable[[bytes], ReadResult]) -> None:
    whole = saved(NOISE, "WEBP", quality=90)
    picture = see(whole[: len(whole) * 2 // 3])
    assert (picture.damage, len(picture.thumbnails)) == (Damage.TRUNCATED, 2)
    shown = Image.open(io.BytesIO(picture.thumbnails[0].data)).convert("L")
    greys = shown.crop((0, 0, 640, 100)).tobytes()
    assert max(greys) - min(greys) > 100  # the upper lines show the picture


def moved(format: str = "mp4", codec: str = "mpeg4") -> tuple[bytes, int, int]:
    """Return a video, the offset of its first frame, and the offset after its last frame."""
    movie = video(format, size=(352, 288), frames=40, codec=codec)
    at = movie.index(b"mdat") + 4
    return movie, at, at - 8 + int.from_bytes(movie[at - 8 : at - 4])


@pytest.mark.parametrize("format", ["mp4", "mov", "3gp"])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_video_with_unwritten_later_frames_is_reported_as_corrupt(
    see: Callable[[bytes], ReadResult], format: str, codec: str
) -> None:
    movie, start, end = moved(format, codec)
    assert see(movie).damage is None
    middle = (start + end) // 2
    picture = see(movie[:middle] + bytes(end - middle) + movie[end:])
    assert (picture.damage, picture.duration_ms) == (Damage.CORRUPT, 4000)


def test_a_video_with_unwritten_later_frames_keeps_its_poster(see: Callable[[bytes], ReadResult]) -> None:
    movie, start, end = moved()
    middle = (start + end) // 2
    assert len(see(movie[:middle] + bytes(end - middle) + movie[end:]).thumbnails) == 2


def test_a_sound_with_an_unwritten_half_is_reported_as_corrupt(see: Callable[[bytes], ReadResult]) -> None:
    whole = sound("ipod", "aac", seconds=4)
    assert see(whole).damage is None
    at = whole.index(b"mdat") + 4
    end = at - 8 + int.from_bytes(whole[at - 8 : at - 4])
    middle = (at + end) // 2
    assert see(whole[:middle] + bytes(end - middle) + whole[end:]).damage is Damage.CORRUPT


def test_a_sample_table_that_ends_early_is_reported_as_corrupt(see: Callable[[bytes], ReadResult]) -> None:
    movie = bytearray(moved()[0])
    at = movie.index(b"stsc") + 8
    movie[at : at + 4] = (2**31).to_bytes(4)
    assert see(bytes(movie)).damage is Damage.CORRUPT


def test_an_interrupted_recording_yields_the_position_in_its_xmp(see: Callable[[bytes], ReadResult]) -> None:
    movie = video()
    rest = movie[: movie.rindex(b"moov") - 4]
    picture = see(rest)
    assert (picture.content_type, picture.damage) == ("video/mp4", Damage.TRUNCATED)
    assert (picture.position, picture.position_problem) == (None, ExifPositionProblem.ABSENT)
    place = 'exif:GPSLatitude="25,49.75302N" exif:GPSLongitude="114,56.01672E" exif:DateTimeOriginal="2026-11-22T10:03:04+08:00"'
    told = see(rest + box(b"uuid", XMP_UUID, xmp(place)))
    assert told.damage is Damage.TRUNCATED
    assert told.position
    assert told.position.latitude == pytest.approx(25.829217, abs=1e-6)
    assert (told.position_source, told.taken_offset_minutes) == ("XMP", 480)


@pytest.mark.parametrize("flags", ["frag_keyframe+empty_moov", "frag_keyframe+empty_moov+default_base_moof+dash"])
def test_a_fragmented_video_lasts_as_long_as_its_fragments(see: Callable[[bytes], ReadResult], flags: str) -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4", options={"movflags": flags}) as movie:
        track = movie.add_stream("mpeg4", rate=10)
        assert isinstance(track, av.VideoStream)
        track.width, track.height, track.pix_fmt, track.gop_size = 96, 64, "yuv420p", 5
        for shade in range(37):
            frame = av.VideoFrame.from_image(Image.new("RGB", (96, 64), (shade, 9, 9)))  # type: ignore[no-untyped-call]
            movie.mux(track.encode(frame))
        movie.mux(track.encode())
    data = stream.getvalue()
    assert b"mehd" not in data
    assert data.count(b"moof") > 3
    assert (see(data).duration_ms, see(data).damage) == (3700, None)
