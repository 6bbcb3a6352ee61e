"""The one file that imports PyAV: the first frame of a video, as plain RGB.

What is made of it is left to `pictures`; which file is worth the trouble, to `examining`.
"""

from pathlib import Path

import av

from storage.formats.results import Damage, Raster, ReadResult

DECODED_PIXELS = 2**28 // 3
_MAX_PACKETS = 600


def poster(path: Path, picture: ReadResult, side: int) -> Raster | Damage:
    """The first frame that decodes, its long side at most `side` pixels and not turned yet; or why there is none.

    `picture` is what the boxes say. The demuxer is fixed and no other file or address is ever opened.
    """
    width, height = picture.width or 0, picture.height or 0
    if width * height > DECODED_PIXELS:
        return Damage.TOO_MANY_PIXELS
    # One frame is wanted: threads would only cost memory under the cap.
    options = {"max_pixels": str(DECODED_PIXELS), "threads": "1"}
    try:
        with (
            path.open("rb") as file,
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
                    return _raster(frame, picture, side)
                if packets > _MAX_PACKETS:
                    break
    except av.error.DecoderNotFoundError:
        return Damage.UNSUPPORTED
    except (av.error.FFmpegError, ValueError, RuntimeError, OverflowError, LookupError):
        return Damage.CORRUPT
    return Damage.CORRUPT


def _raster(frame: av.VideoFrame, picture: ReadResult, side: int) -> Raster | Damage:
    """Scaled to the shape in which it is shown: pixels of videos need not be square."""
    if frame.width * frame.height > DECODED_PIXELS:
        return Damage.TOO_MANY_PIXELS
    width, height = picture.display_width or frame.width, picture.display_height or frame.height
    if (picture.rotation or 0) % 180:
        width, height = height, width
    if not 0.05 < width / height < 20:  # no shape that a phone films in
        width, height = frame.width, frame.height
    shrink = max(width, height, side) / side
    shown = frame.reformat(width=max(round(width / shrink), 1), height=max(round(height / shrink), 1), format="rgb24")
    plane = shown.planes[0]
    return Raster(shown.width, shown.height, plane.line_size, bytes(plane))
