"""Measurements that are no tests: how nearly the same pictures are found among a million, what a day or a week costs a phone.

It starts engines of its own in a temporary folder, and touches no installation. The day is left to `day`, the week to `week`.
"""

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from api.settings import Settings
from schema.checks.similarity import COARSE_BITS, DETAIL_BITS, Likeness
from schema.checks.thresholds import DEFAULTS, ThresholdKind
from scripts.benchmarks.altered_pictures import altered
from scripts.benchmarks.day_traffic import measure_day
from scripts.benchmarks.offline_week import main
from scripts.benchmarks.temporary_engines import engines
from scripts.demo.scenes import draw_scene
from scripts.installation import START_ERRORS
from storage.checks.similar_pictures import (
    INDEXES,
    MARK_INDEXES,
    RADIUS,
    Likenesses,
    keypoint_document,
    likeness_document,
)
from storage.formats.pictures import examine
from storage.mongodb.client import Mongo
from storage.similarity.keypoints import FIGURE_BITS, KEY_BITS, LEVELS, MARKS_A_LEVEL, Keypoint, Marks, packed
from storage.similarity.perceptual_hash import GREY_SIDE
from storage.store import Store

BATCH = 10_000
KIN = 200
"""Families that the made-up figures fall into: pictures of counters resemble one another, so that bands are not even."""
KINSHIP = 0.25
"""Chance of each bit to differ from the family's."""
MARKS = len(LEVELS) * MARKS_A_LEVEL
COMMON, COMMONNESS = 130_000, 0.1
"""Figures that many pictures have, and their share of the marks: 2 of 10,000 pictures then share a key that is asked for,
as was measured among photos."""

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.add_typer(main.app)


@app.callback()
def bench() -> None:
    """Measure on this machine."""


@app.command()
def likeness(
    *,
    hashes: Annotated[
        int,
        typer.Option(
            help="How many made-up pictures, each with its hash and its marks, the real ones are hidden among."
        ),
    ] = 1_000_000,
    lookups: Annotated[int, typer.Option(help="How many lookups are timed.")] = 1_000,
    pictures: Annotated[int, typer.Option(help="How many drawn pictures are copied and looked for.")] = 40,
    photos: Annotated[Path | None, typer.Option(help="Folder of real photos to copy and look for besides.")] = None,
    seed: int = 1,
) -> None:
    """Time of a lookup, share of altered copies that are found, share of other pictures that are taken for copies."""
    try:
        asyncio.run(_likeness(hashes, lookups, pictures, photos, seed))
    except START_ERRORS as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


async def _likeness(hashes: int, lookups: int, pictures: int, photos: Path | None, seed: int) -> None:
    async with _database() as mongo:
        await measure_likeness(mongo, hashes, lookups, pictures, photos, seed)


async def measure_likeness(
    mongo: Mongo, hashes: int, lookups: int, pictures: int, photos: Path | None, seed: int
) -> None:
    """Load an empty database, time the lookups, look for copies; prints as it goes."""
    random = Random(seed)  # noqa: S311  figures, no secrets
    kept = Likenesses(mongo)
    started = time.perf_counter()
    planted = await _load(mongo, hashes, random)
    loaded = time.perf_counter()
    for name, indexes in (("likenesses", INDEXES), ("likeness_marks", MARK_INDEXES)):
        for keys, options in indexes:
            await mongo.collection(name).create_index(keys, **options)
    built = time.perf_counter()
    typer.echo(
        f"{hashes:,} pictures loaded in {loaded - started:.0f} s, indexed in {built - loaded:.0f} s;"
        f" load of this machine {os.getloadavg()[0]:.1f}"
    )
    for name, what in (("likenesses", f"{hashes:,} hashes"), ("likeness_marks", f"{hashes * MARKS:,} marks")):
        size = await mongo.command("collStats", name)
        typer.echo(
            f"{what}: {size['size'] / 2**20:.0f} MiB of documents, {size['storageSize'] / 2**20:.0f} on disk,"
            f" {size['totalIndexSize'] / 2**20:.0f} MiB of indexes"
        )
    await _time(kept, "one hash", [[each] for each in _nearby(planted, lookups, random)], planted)
    common = _common(random)
    unknown = [[replace(each, marks=_made_marks(random, common))] for each in _unknown(lookups, random)]
    await _time(kept, f"one whole picture, a hash and {MARKS} marks, that is like no other", unknown, {})
    wholes = [[each] for each in _nearby(planted, lookups, random, with_marks=True)]
    await _time(kept, "one whole picture that is there", wholes, planted)
    with tempfile.TemporaryDirectory(prefix="mingcha-bench-") as folder:
        for name, files in _collections(Path(folder), pictures, photos):
            await _recall(kept, name, files, Path(folder))


@app.command()
def day(
    *,
    observations: Annotated[int, typer.Option(help="How many observations are handed in.")] = 20,
    photos: Annotated[
        int, typer.Option(help="How many photos they have together; their own bytes are not counted.")
    ] = 60,
    pulls: Annotated[int, typer.Option(help="How often the phone looks for news besides.")] = 16,
) -> None:
    """Bytes that an inspector's first sync and a day's work take, in each direction, plain and packed."""
    try:
        asyncio.run(_day(observations, photos, pulls))
    except START_ERRORS as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


async def _day(observations: int, photos: int, pulls: int) -> None:
    async with engines() as (root, addresses):
        objects = addresses.store()
        mongo = Mongo(addresses.mongo_url, "bench")
        settings = Settings(data=root / "bench", log_level="WARNING")
        measured = await measure_day(
            Store(mongo, objects), settings, observations=observations, photos=photos, pulls=pulls
        )
        typer.echo(measured.told(observations, photos))
        await mongo.close()
        objects.close()


@contextlib.asynccontextmanager
async def _database() -> AsyncIterator[Mongo]:
    async with engines() as (_, addresses):
        # An index of a million pictures takes minutes to make.
        mongo = Mongo(addresses.mongo_url, "bench", timeout_seconds=600)
        yield mongo
        await mongo.close()


async def _load(mongo: Mongo, hashes: int, random: Random) -> dict[str, Likeness]:
    """Made-up hashes in families, made-up marks; some of them, to look for."""
    families = [random.getrandbits(COARSE_BITS) for _ in range(KIN)]
    common = _common(random)
    planted: dict[str, Likeness] = {}
    for start in range(0, hashes, BATCH):
        wholes, marks = [], []
        for number in range(start, min(start + BATCH, hashes)):
            coarse = _signed(random.choice(families) ^ _noise(random))
            detail = f"{random.getrandbits(DETAIL_BITS):064x}"
            made = Likeness(0, coarse, detail, random.randbytes(GREY_SIDE**2), _made_marks(random, common))
            id = f"med_{number:036x}"
            wholes.append(likeness_document(id, made))
            marks.append(keypoint_document(id, made.marks))
            if number % max(hashes // 1000, 1) == 0:
                planted[id] = made
        await mongo.collection("likenesses").insert_many(wholes)
        await mongo.collection("likeness_marks").insert_many(marks)
    return planted


def _common(random: Random) -> list[int]:
    return [random.getrandbits(FIGURE_BITS) for _ in range(COMMON)]


def _made_marks(random: Random, common: Sequence[int]) -> bytes:
    """Marks as of a photo; some are such as many pictures have, alike beyond their key too."""
    made = []
    for number in range(MARKS):
        figure = random.getrandbits(FIGURE_BITS)
        if random.random() < COMMONNESS:
            noise = random.getrandbits(FIGURE_BITS) & random.getrandbits(FIGURE_BITS)
            figure = random.choice(common) ^ (noise >> KEY_BITS << KEY_BITS)
        weak = random.randrange(KEY_BITS - 4)
        named = (weak, weak + 1, weak + 2, weak + 3)
        made.append(Keypoint(figure, named, random.random(), random.random() * 0.75, number % len(LEVELS)))
    return packed(Marks((1, 0.75), tuple(made)))


def _noise(random: Random) -> int:
    """Bits that are set with the chance of KINSHIP."""
    return random.getrandbits(COARSE_BITS) & random.getrandbits(COARSE_BITS)


def _signed(bits: int) -> int:
    return bits - (1 << COARSE_BITS) if bits >> (COARSE_BITS - 1) else bits


def _unknown(count: int, random: Random) -> list[Likeness]:
    return [
        Likeness(
            0,
            _signed(random.getrandbits(COARSE_BITS)),
            f"{random.getrandbits(DETAIL_BITS):064x}",
            random.randbytes(GREY_SIDE**2),
        )
        for _ in range(count)
    ]


def _nearby(planted: dict[str, Likeness], count: int, random: Random, *, with_marks: bool = False) -> list[Likeness]:
    """Copies of planted ones, as far away as is found for certain."""
    near = []
    for made in random.choices(list(planted.values()), k=count):
        flips = sum(1 << place for place in random.sample(range(COARSE_BITS), RADIUS))
        coarse = _signed((made.coarse ^ flips) & (1 << COARSE_BITS) - 1)
        near.append(replace(made, coarse=coarse) if with_marks else Likeness(0, coarse, made.detail))
    return near


async def _time(
    kept: Likenesses, what: str, wanted: Sequence[Sequence[Likeness]], planted: dict[str, Likeness]
) -> None:
    by_detail = {made.detail: id for id, made in planted.items()}
    seconds, missed = [], 0
    for each in wanted:
        started = time.perf_counter()
        found = await kept.near("med_none", each, 0)
        seconds.append(time.perf_counter() - started)
        sought = by_detail.get(each[0].detail)
        missed += sought is not None and sought not in {alike.media_id for alike in found}
    cuts = statistics.quantiles(seconds, n=100)
    shown = ", ".join(f"p{share} {cuts[share - 1] * 1000:.1f}" for share in (50, 95, 99))
    typer.echo(f"lookup of {what}: {shown}, most {max(seconds) * 1000:.1f} ms; missed {missed} of {len(wanted)}")


def _collections(folder: Path, pictures: int, photos: Path | None) -> Iterator[tuple[str, list[Path]]]:
    drawn = []
    for number in range(pictures):
        drawn.append(folder / f"drawn-{number}.jpg")
        drawn[-1].write_bytes(draw_scene(number, 1024, 768, [f"{number:04d}"]))
    yield "drawn counters", drawn
    if photos:
        yield "photos", sorted(path for path in photos.iterdir() if path.is_file())


async def _recall(kept: Likenesses, name: str, files: Sequence[Path], folder: Path) -> None:
    """What share of each kind of copy leads back to its original, and how many other originals it leads to besides."""
    limit = next(int(each.value or 0) for each in DEFAULTS if each.kind is ThresholdKind.PICTURE_BITS)
    originals: dict[str, Path] = {}
    for number, path in enumerate(files):
        likeness = examine(path).likeness
        if likeness:
            id = f"med_{name}-{number}".replace(" ", "-")
            originals[id] = path
            await kept.store(id, likeness)
    copies, found, others = Counter[str](), Counter[str](), 0
    looked_up = 0
    for number, (id, path) in enumerate(originals.items()):
        for alike in await kept.near(id, (await kept.of([id]))[id], limit):
            others += alike.media_id in originals
        with contextlib.suppress(OSError):
            for kind, body in altered(path, number):
                copy = folder / "copy.jpg"
                copy.write_bytes(body)
                copies[kind] += 1
                near = {alike.media_id for alike in await kept.near("med_copy", examine(copy).likeness, limit)}
                found[kind] += id in near
                looked_up += 1
    typer.echo(
        f"{name}: {len(originals)} of {len(files)} have a likeness; {looked_up} copies looked for, up to {limit} bits"
    )
    for kind in copies:
        typer.echo(f"  {kind:<30}{found[kind] / copies[kind]:>7.1%}  {found[kind]} of {copies[kind]}")
    pairs = len(originals) * (len(originals) - 1)
    typer.echo(f"  originals taken for copies of one another: {others} of {pairs} pairs")


if __name__ == "__main__":
    app(prog_name="scripts/bench")
