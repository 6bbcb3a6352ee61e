"""Make videos, sounds and their metadata, and edit the boxes of movies."""

import io
from collections.abc import Callable
from typing import Any

import av
from PIL import Image

MATRIX_90 = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)


def box(kind: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return (8 + len(data)).to_bytes(4) + kind + data


def video(format: str = "mp4", size: tuple[int, int] = (96, 64), frames: int = 5, codec: str = "mpeg4") -> bytes:
    """Return a video, half red and half blue, at ten frames a second."""
    stream = io.BytesIO()
    with av.open(stream, "w", format=format) as movie:
        track = movie.add_stream(codec, rate=10)
        assert isinstance(track, av.VideoStream)
        track.width, track.height, track.pix_fmt = *size, "yuv420p"
        image = Image.new("RGB", size, (220, 30, 30))
        image.paste((40, 60, 220), (size[0] // 2, 0, *size))
        for _ in range(frames):
            frame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
            movie.mux(track.encode(frame))
        movie.mux(track.encode())
    return stream.getvalue()


def sound(format: str, codec: str, seconds: float = 1.0, rate: int = 44100, **options: Any) -> bytes:
    """Return a silent sound file."""
    stream = io.BytesIO()
    with av.open(stream, "w", format=format, options=options) as movie:
        track = movie.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(track, av.AudioStream)
        left = int(seconds * rate)
        resampler = av.AudioResampler(format=track.codec_context.format, layout="mono", rate=rate)
        at = 0
        while left > 0:
            count = min(left, 1024)
            frame = av.AudioFrame(format="s16", layout="mono", samples=count)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts = rate, at
            for each in resampler.resample(frame):
                movie.mux(track.encode(each))
            at, left = at + count, left - count
        for each in resampler.resample(None):
            movie.mux(track.encode(each))
        movie.mux(track.encode())
    return stream.getvalue()


def edited(movie: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return the movie with the content of its `moov` box changed.

    The media data must lie before `moov`, as it does in the movies that `video` makes. Otherwise its offsets would
    become wrong.
    """
    at = movie.rindex(b"moov") - 4
    size = int.from_bytes(movie[at : at + 4])
    return movie[:at] + box(b"moov", change(movie[at + 8 : at + size])) + movie[at + size :]


def with_matrix(moov: bytes, matrix: tuple[int, ...] = MATRIX_90) -> bytes:
    """Return a `moov` with the matrix of its first track replaced."""
    at = moov.index(b"tkhd") + 4 + 40
    return moov[:at] + b"".join(each.to_bytes(4, signed=True) for each in matrix) + moov[at + 36 :]


def keys(**values: str) -> bytes:
    """Return Apple's `meta` box with these keys; a double underscore in a name stands for a dot."""
    names = [b"com.apple.quicktime." + name.replace("__", ".").encode() for name in values]
    listed = b"".join((8 + len(name)).to_bytes(4) + b"mdta" + name for name in names)
    items = b"".join(
        box(place.to_bytes(4), box(b"data", bytes((0, 0, 0, 1, 0, 0, 0, 0)), value.encode()))
        for place, value in enumerate(values.values(), 1)
    )
    handler = box(b"hdlr", bytes(8), b"mdta", bytes(14))
    return box(b"meta", handler, box(b"keys", bytes(4), len(names).to_bytes(4), listed), box(b"ilst", items))


def xyz(text: str) -> bytes:
    """Return a `udta` box with a position as QuickTime writes it (`©xyz`)."""
    return box(b"udta", box(b"\xa9xyz", len(text).to_bytes(2), b"\x15\xc7", text.encode()))


def loci(latitude: float, longitude: float, altitude: float, name: bytes = b"here\0") -> bytes:
    """Return a `udta` box with a position as 3GPP writes it (`loci`)."""
    figures = b"".join(round(each * 65536).to_bytes(4, signed=True) for each in (longitude, latitude, altitude))
    return box(b"udta", box(b"loci", bytes(4), b"\x15\xc7", name, b"\0", figures, b"earth\0", b"\0"))


def xmp(properties: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" {properties}/></rdf:RDF></x:xmpmeta>'
    ).encode()
