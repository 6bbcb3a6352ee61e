"""Test that HEIC pictures of 108 and 200 megapixels are shown and covered within the memory of the sandbox."""

import io
from pathlib import Path

import pytest
from PIL import Image

from storage.formats import pictures
from storage.formats.heif_tiles import read_layout
from storage.formats.reader import examine
from storage.formats.results import Damage, ReadResult
from storage.formats.sandbox import Decoder
from storage.publication.redaction_sandbox import Coverer
from tests.support.large_heif import coded_tile, grid
from tests.support.picture_files import near, saved

CASE = Path(__file__).parents[3] / "shared/data/cases/heic-108-megapixels.heic"
RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 160, 40), (40, 60, 200), (125, 125, 125)


def corners(body: bytes) -> list[object]:
    """Return a pixel near each corner: top left, top right, bottom left, bottom right."""
    with Image.open(io.BytesIO(body)) as image:
        right, bottom = image.width - 9, image.height - 9
        return [image.getpixel(at) for at in ((8, 8), (right, 8), (8, bottom), (right, bottom))]


def colours_of(body: bytes) -> list[str]:
    known = {"red": RED, "green": GREEN, "blue": BLUE, "grey": GREY, "black": (0, 0, 0)}
    return [next(name for name, colour in known.items() if near(pixel, colour)) for pixel in corners(body)]


async def test_200_megapixels_are_shown_and_covered_upright(tmp_path: Path) -> None:
    path, covered = tmp_path / "photo", tmp_path / "covered"
    coded = {colour: coded_tile(colour) for colour in (RED, GREEN, BLUE, GREY)}

    def tile_at(column: int, row: int) -> bytes:
        return coded[((RED, GREEN), (BLUE, GREY))[row >= 12][column >= 16]][0]

    # Turned once counter-clockwise, the top right corner of the tiles is the top left corner of the picture.
    path.write_bytes(grid(32, 24, (16320, 12240), tile_at, coded[RED][1], turns=1))
    async with Decoder() as decoder, Coverer() as coverer:
        picture = await decoder.examine(path)
        answer = await coverer.cover(path, [(0, 0, 0.1, 0.1)], covered)
    assert (picture.damage, picture.display_width, picture.display_height) == (None, 12240, 16320)
    assert [(each.width, each.height) for each in picture.thumbnails] == [(960, 1280), (240, 320)]
    assert colours_of(picture.thumbnails[0].data) == ["green", "grey", "red", "blue"]
    assert (answer.damage, answer.width, answer.height) == (None, 6120, 8160)
    assert colours_of(covered.read_bytes()) == ["black", "grey", "red", "blue"]


@pytest.mark.skipif(not CASE.exists(), reason="needs ../shared/data")
async def test_108_megapixels_in_one_piece_are_shown() -> None:
    async with Decoder() as decoder:
        picture = await decoder.examine(CASE)
    assert (picture.damage, picture.display_width, picture.display_height) == (None, 12000, 9000)
    with Image.open(io.BytesIO(picture.thumbnails[0].data)) as shown:
        assert shown.size == (1280, 960)
        top, bottom = shown.getpixel((640, 10)), shown.getpixel((640, 950))
    assert near(top, (3, 3, 3)) and near(bottom, (252, 252, 252)), "from black to white"  # noqa: PT018


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read all HEIC and AVIF pictures by their tiles."""
    monkeypatch.setattr(pictures, "DECODED_PIXELS", 1000)


def shown(path: Path, body: bytes) -> ReadResult:
    path.write_bytes(body)
    return examine(path)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
def test_a_large_picture_of_one_piece_has_its_colours(format: str, tmp_path: Path) -> None:
    image = Image.new("RGB", (640, 480), RED)
    image.paste(BLUE, (320, 0, 640, 480))
    picture = shown(tmp_path / "photo", saved(image, format, quality=90, **({"speed": 10} if format == "AVIF" else {})))
    assert picture.damage is None
    assert colours_of(picture.thumbnails[0].data) == ["red", "blue", "red", "blue"]


@pytest.mark.usefixtures("small")
def test_a_tile_that_cannot_be_decoded_is_told_and_the_others_are_shown(tmp_path: Path) -> None:
    (body, configuration), broken = coded_tile(RED), (9).to_bytes(4) + b"\x26\1" + b"\x55" * 7
    file = grid(2, 2, (1000, 1000), lambda column, row: broken if column + row == 0 else body, configuration, turns=0)
    picture = shown(tmp_path / "photo", file)
    assert picture.damage is Damage.CORRUPT
    assert colours_of(picture.thumbnails[0].data) == ["grey", "red", "red", "red"]
    nothing = shown(tmp_path / "none", grid(2, 2, (1000, 1000), lambda *_: broken, configuration, turns=0))
    assert (nothing.damage, nothing.thumbnails) == (Damage.CORRUPT, ())


def test_a_layout_that_lies_is_refused() -> None:
    body, configuration = coded_tile(RED)
    file = grid(3, 2, (1500, 1000), lambda *_: body, configuration, turns=0)
    for good, bad in ((b"\0\1\1\2", b"\0\1\7\7"), (b"dimg", b"cdsc"), (b"hvc1", b"grid"), (b"pitm", b"free")):
        assert good in file
        with pytest.raises(ValueError, match=r"tiles|layout"):
            read_layout(io.BytesIO(file.replace(good, bad)))
