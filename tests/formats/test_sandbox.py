"""Test isolation: if a child is killed, crashes, hangs, eats memory or lies, only one picture fails.

A child that hostile bytes have taken over can read nothing but the file in hand, write nothing and reach nobody.
"""

import asyncio
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from PIL import Image

from storage.formats.media_sources import MediaSource
from storage.formats.pictures import examine
from storage.formats.results import Damage, ReadResult, from_json
from storage.formats.sandbox import Decoder, DecoderUnavailableError
from tests.support.picture_files import GPS, block, saved
from tests.support.prowler import Targets, prowl

pytestmark = pytest.mark.anyio
MIB = 2**20
PR_SET_NAME, HANGING = 15, "hanging"


def act(medium: MediaSource) -> ReadResult:
    """Obey a file that begins with an order, and examine any other file. This runs in the child."""
    orders: dict[bytes, Callable[[], object]] = {
        b"hang": _hang,
        b"spin": lambda: any(iter(int, 1)),
        b"crash": lambda: ctypes.string_at(0),
        b"leave": lambda: os._exit(0),
        b"raise": lambda: 1 / 0,
        b"eat": lambda: bytearray(4096 * MIB),
        b"print": lambda: os.write(1, b"\0\0\0\2{}"),
    }
    words = medium.read_bytes()
    order = words[:5]
    if order == b"speak":
        return ReadResult(model=os.environ.get("MINGCHA_S3_SECRET_KEY", "nothing"))
    if order == b"prowl":
        return ReadResult(model=f"done: {prowl(json.loads(words[5:]))}")
    if order in orders:
        orders[order]()
        return ReadResult(model="obeyed")
    return examine(medium)


def _hang() -> None:
    ctypes.CDLL(None).prctl(PR_SET_NAME, HANGING.encode(), 0, 0, 0)
    time.sleep(600)


def is_hanging(pid: int | None) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip() == HANGING


def tell(medium: MediaSource) -> ReadResult:
    return ReadResult(content_type="image/jpeg", model=f"facts of {medium.read_bytes().decode()}")


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    async with Decoder(
        work="tests.formats.test_sandbox:act",
        facts="tests.formats.test_sandbox:tell",
        seconds=10,
        memory_bytes=1024 * MIB,
    ) as decoder:
        yield decoder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo"
    path.write_bytes(saved(Image.new("RGB", (640, 480), (220, 30, 30)), exif=block(GPS, tag_0110="Demo")))
    return path


@pytest.fixture
def order(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(words: bytes) -> Path:
        path = tmp_path / "order"
        path.write_bytes(words)
        return path

    return write


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, even if its parent has not reaped it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


async def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_the_sandbox_returns_what_examine_returns_and_reuses_its_child(photo: Path, tmp_path: Path) -> None:
    async with Decoder() as decoder:
        assert await decoder.examine(photo) == examine(photo)
        child = decoder.pid
        assert child is not None
        (tmp_path / "empty").write_bytes(b"")
        assert (await decoder.examine(tmp_path / "empty")).damage is Damage.EMPTY
        assert decoder.pid == child
    assert is_gone(child)


async def test_concurrent_requests_each_get_their_own_result(decoder: Decoder, tmp_path: Path) -> None:
    paths = [tmp_path / str(width) for width in range(10, 30)]
    for width, path in enumerate(paths, 10):
        path.write_bytes(saved(Image.new("L", (width, 8))))
    pictures = await asyncio.gather(*(decoder.examine(path) for path in paths))
    assert [picture.width for picture in pictures] == list(range(10, 30))


@pytest.mark.parametrize(
    ("words", "damage"),
    [
        (b"crash", Damage.CRASHED),
        (b"leave", Damage.CRASHED),
        (b"raise", Damage.CRASHED),
        (b"eat", Damage.OUT_OF_MEMORY),
    ],
)
async def test_a_fault_costs_one_picture_and_keeps_its_facts(
    decoder: Decoder, photo: Path, order: Callable[[bytes], Path], words: bytes, damage: Damage
) -> None:
    assert await decoder.examine(order(words)) == ReadResult(
        "image/jpeg", model=f"facts of {words.decode()}", damage=damage
    )
    assert (await decoder.examine(photo)).damage is None


@pytest.mark.parametrize("words", [b"hang", b"spin"])
async def test_a_hanging_child_is_killed_at_the_time_limit(
    photo: Path, order: Callable[[bytes], Path], words: bytes
) -> None:
    async with Decoder(
        work="tests.formats.test_sandbox:act", facts="tests.formats.test_sandbox:tell", seconds=3
    ) as decoder:
        assert await decoder.examine(photo) == examine(photo)
        child, began = decoder.pid, time.monotonic()
        picture = await decoder.examine(order(words))
        assert (picture.damage, picture.model) == (Damage.TIMED_OUT, f"facts of {words.decode()}")
        assert time.monotonic() - began < 15
        assert child is not None
        assert is_gone(child)
        assert (await decoder.examine(photo)).damage is None


async def test_a_child_killed_at_work_is_replaced(
    decoder: Decoder, photo: Path, order: Callable[[bytes], Path]
) -> None:
    await decoder.examine(photo)
    child = decoder.pid
    assert child is not None
    at_work = asyncio.create_task(decoder.examine(order(b"hang")))
    await until(lambda: is_hanging(child))
    os.kill(child, signal.SIGKILL)
    picture = await at_work
    assert (picture.damage, picture.model) == (Damage.CRASHED, "facts of hang")
    assert (await decoder.examine(photo)) == examine(photo)
    assert decoder.pid != child


async def test_a_child_killed_between_two_pictures_costs_no_picture(decoder: Decoder, photo: Path) -> None:
    await decoder.examine(photo)
    child = decoder.pid
    assert child is not None
    os.kill(child, signal.SIGKILL)
    await until(lambda: is_gone(child))
    assert (await decoder.examine(photo)) == examine(photo)


async def test_a_cancelled_request_leaves_no_answer_for_the_next(
    decoder: Decoder, photo: Path, order: Callable[[bytes], Path]
) -> None:
    await decoder.examine(photo)
    child = decoder.pid
    at_work = asyncio.create_task(decoder.examine(order(b"hang")))
    await until(lambda: is_hanging(child))
    at_work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await at_work
    assert child is not None
    assert is_gone(child)
    assert (await decoder.examine(photo)).width == 640


async def test_output_of_the_child_is_not_taken_for_an_answer(
    decoder: Decoder, photo: Path, order: Callable[[bytes], Path]
) -> None:
    assert (await decoder.examine(order(b"print"))).model == "obeyed"
    assert (await decoder.examine(photo)).model == "Demo"


async def test_the_child_does_not_inherit_secrets(
    decoder: Decoder, order: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINGCHA_S3_SECRET_KEY", "secret")
    assert (await decoder.examine(order(b"speak"))).model == "nothing"


async def test_a_child_that_was_taken_over_reaches_nothing(
    decoder: Decoder, order: Callable[[bytes], Path], photo: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
        unix.listen()
        targets = Targets(
            file=str(photo),
            folder=str(tmp_path),
            port=server.getsockname()[1],
            socket=str(tmp_path / "socket"),
            parent=os.getpid(),
        )
        found = await decoder.examine(order(b"prowl" + json.dumps(targets).encode()))
    assert (found.damage, found.model) == (None, "done: []")


async def test_a_picture_too_large_for_the_memory_cap_is_reported(tmp_path: Path, photo: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(saved(Image.new("RGBA", (8000, 8000), (9, 9, 9, 99)), "PNG", compress_level=1, exif=block(GPS)))
    async with Decoder(memory_bytes=300 * MIB) as decoder:
        picture = await decoder.examine(path)
        assert (picture.damage, picture.width, picture.thumbnails) == (Damage.OUT_OF_MEMORY, 8000, ())
        assert picture.position is not None
        assert (await decoder.examine(photo)).damage is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '"x"', '{"width":"x"}', '{"damage":"x"}', '{"taken_at":3}', '{"thumbnails":[{}]}'],
)
async def test_json_that_is_not_a_result_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text.encode(), ReadResult)


async def test_a_missing_file_raises_and_is_not_reported_as_damage(decoder: Decoder, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await decoder.examine(tmp_path / "nowhere")


async def test_a_child_that_cannot_start_raises_and_is_not_reported_as_damage(photo: Path) -> None:
    async with Decoder(work="tests.no_such_module:act") as decoder:
        with pytest.raises(DecoderUnavailableError):
            await decoder.examine(photo)
        assert decoder.pid is None


PARENT = """
import asyncio, sys
from pathlib import Path
from storage.formats.sandbox import Decoder

async def main():
    async with Decoder(work="tests.formats.test_sandbox:act", facts="tests.formats.test_sandbox:tell", seconds=600) as decoder:
        await decoder.examine(Path(sys.argv[1]))
        print(decoder.pid, flush=True)
        await decoder.examine(Path(sys.argv[2]))

asyncio.run(main())
"""


async def test_a_child_at_work_does_not_outlive_its_parent(photo: Path, order: Callable[[bytes], Path]) -> None:
    path = order(b"hang")
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, photo, path), stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        assert parent.stdout is not None
        child = int(await parent.stdout.readline())
        await until(lambda: is_hanging(child))
    finally:
        parent.kill()
        await parent.wait()
    await until(lambda: is_gone(child))
