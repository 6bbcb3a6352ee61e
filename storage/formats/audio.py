"""Measure the duration of MP3 and AMR files frame by frame, and check whether the files are complete.

Nothing is decoded.
"""

import mmap

from storage.formats.content_types import HEAD_BYTES, sniff
from storage.formats.media_sources import MediaSource
from storage.formats.results import Damage, ReadResult

# Bytes of a 20 ms frame after its header, by frame type (3GPP TS 26.101 and 26.201, annex A); None: reserved.
_NARROW = (12, 13, 15, 17, 19, 20, 26, 31, 5, 6, 5, 5, None, None, None, 0)
_WIDE = (17, 23, 32, 36, 40, 46, 50, 58, 60, 5, None, None, None, None, 0, 0)

# Layer III (ISO/IEC 11172-3 and 13818-3): kilobits per second and samples per second.
_RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLING = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MAX_FRAMES = 2_000_000
_SEARCHED, _PADDING = 2**16, 4096


def read_sound(medium: MediaSource) -> ReadResult:
    """Read type, duration and damage. Raise `OSError` if the file can't be opened."""
    with medium.open("rb") as file:
        content_type = sniff(file.read(HEAD_BYTES))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            millis, damage = _measure_amr(data) if content_type == "audio/amr" else _measure_mp3(data)
    return ReadResult(content_type, duration_ms=millis, damage=damage)


def _measure_amr(data: mmap.mmap) -> tuple[int | None, Damage | None]:
    head = data.find(b"\n", 0, 16) + 1
    sizes = _WIDE if data[:head] == b"#!AMR-WB\n" else _NARROW
    at, frames, damage = head, 0, None
    while at < len(data) and frames < _MAX_FRAMES:
        size = sizes[data[at] >> 3 & 15]
        if size is None or data[at] & 0x83:
            damage = Damage.CORRUPT
            break
        at += 1 + size
        if at > len(data):
            damage = Damage.TRUNCATED
            break
        frames += 1
    if not frames:
        return None, damage or Damage.TRUNCATED
    return frames * 20, damage


def _measure_mp3(data: mmap.mmap) -> tuple[int | None, Damage | None]:
    start = _skip_tags(data)
    if start >= len(data):
        return None, Damage.TRUNCATED
    at = _find_first_frame(data, start)
    if at is None:
        return None, Damage.CORRUPT
    frames, seconds, damage = 0, 0.0, None
    while frames < _MAX_FRAMES:
        frame = _read_frame_header(data, at)
        if frame is None:
            # A tag or a little padding may follow the sound. Anything else is damage.
            rest = data[at : at + _PADDING]
            is_padding = at + len(rest) == len(data) and not any(rest)
            damage = None if is_padding or rest[:3] in {b"TAG", b"APE", b"ID3", b"LYR"} else Damage.CORRUPT
            break
        size, length, is_index = frame
        if at + size > len(data):
            damage = Damage.TRUNCATED
            break
        seconds += 0.0 if is_index else length
        frames += 1
        at += size
    return (round(seconds * 1000) or None), damage if frames else damage or Damage.CORRUPT


def _skip_tags(data: mmap.mmap) -> int:
    """Return the offset after all ID3v2 tags (id3.org, 2.4.0, 3.1). A tag's size has four bytes of seven bits each."""
    at = 0
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(data[at + 6 : at + 10], (21, 14, 7, 0), strict=True))
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)
    return at


def _find_first_frame(data: mmap.mmap, start: int) -> int | None:
    """Return the offset of the first frame that is followed by another frame or by the end of the file.

    Other bytes can come before that frame, because writers pad their tags.
    """
    at = start
    while (at := data.find(b"\xff", at, start + _SEARCHED)) >= 0:
        frame = _read_frame_header(data, at)
        if frame and (at + frame[0] >= len(data) or _read_frame_header(data, at + frame[0])):
            return at
        at += 1
    return None


def _read_frame_header(data: mmap.mmap, at: int) -> tuple[int, float, bool] | None:
    """Return a frame's size in bytes, its seconds, and whether it is an index without sound.

    Return None if no frame begins at `at`.
    """
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:  # sync, and layer III
        return None
    version, rate, sampling = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version not in _SAMPLING or rate in {0, 15} or sampling == 3:
        return None
    samples = 1152 if version == 3 else 576
    hertz = _SAMPLING[version][sampling]
    bits = (_RATES_1 if version == 3 else _RATES_2)[rate] * 1000
    size = samples * bits // (8 * hertz) + (head[2] >> 1 & 1)
    is_mono = head[3] >> 6 == 3
    side = (17 if is_mono else 32) if version == 3 else (9 if is_mono else 17)
    is_index = data[at + 4 + side : at + 8 + side] in {b"Xing", b"Info"} or data[at + 36 : at + 40] == b"VBRI"
    return size, samples / hertz, is_index
