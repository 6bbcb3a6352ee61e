"""Decode the first frame of a video to plain RGB with PyAV."""

import av

from storage.formats.media_sources import MediaSource
from storage.formats.results import Damage, Raster, ReadResult

DECODED_PIXELS = 2**28 // 3
_MAX_PACKETS = 600


def read_poster(medium: MediaSource, picture: ReadResult, side: int) -> Raster | Damage:
    """Return the first frame that decodes, or the damage. The frame is not rotated yet.

    Its long side has at most `side` pixels. `picture` is the result of reading the boxes.
    The demuxer is fixed, and no other file or URL is ever opened.
    """
    width, height = picture.width or 0, picture.height or 0
    if width * height > DECODED_PIXELS:
        return Damage.TOO_MANY_PIXELS
    # For one frame, threads would only cost memory.
    options = {"max_pixels": str(DECODED_PIXELS), "threads": "1"}
    try:
        with (
            medium.open("rb") as file,
            av.open(
                file,
                "r",
                format="mov",
                metadata_errors="replace",
                options={"protocol_whitelist": "none", "enable_drefs": "0"},
            ) as movie,
        ):
            streams = movie.streams.video
            if not streams:
                return Damage.UNSUPPORTED
            streams[0].codec_context.options = options
            for packets, packet in enumerate(movie.demux(streams[0])):
                for frame in packet.decode():
                    return _to_raster(frame, picture, side)
                if packets > _MAX_PACKETS:
                    break
    except av.error.DecoderNotFoundError:
        return Damage.UNSUPPORTED
    except (av.error.FFmpegError, ValueError, RuntimeError, OverflowError, LookupError):
        return Damage.CORRUPT
    return Damage.CORRUPT


def _to_raster(frame: av.VideoFrame, picture: ReadResult, side: int) -> Raster | Damage:
    """Scale a frame to the shape in which players show it, because a video's pixels need not be square."""
    if frame.width * frame.height > DECODED_PIXELS:
        return Damage.TOO_MANY_PIXELS
    width, height = picture.display_width or frame.width, picture.display_height or frame.height
    if (picture.rotation or 0) % 180:
        width, height = height, width
    if not 0.05 < width / height < 20:  # no phone films in this shape
        width, height = frame.width, frame.height
    shrink = max(width, height, side) / side
    shown = frame.reformat(width=max(round(width / shrink), 1), height=max(round(height / shrink), 1), format="rgb24")
    plane = shown.planes[0]
    return Raster(shown.width, shown.height, plane.line_size, bytes(plane))
