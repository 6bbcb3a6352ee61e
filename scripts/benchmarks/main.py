"""Measure what tests can't: the API's speed, the search for similar pictures, and the cost of phones: a day, a week, 200.

The commands start their own engines in a temporary folder, and touch no installation.
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
from scripts.benchmarks import phones
from scripts.benchmarks.altered_pictures import altered_copies
from scripts.benchmarks.api_speed import main as api_speed
from scripts.benchmarks.day_traffic import measure_day
from scripts.benchmarks.offline_week import main
from scripts.benchmarks.temporary_engines import engines
from scripts.demo.scenes import draw_scene
from scripts.installation import START_ERRORS
from storage.checks.similar_pictures import (
    INDEXES,
    MARK_INDEXES,
    Likenesses,
    keypoint_document,
    likeness_document,
)
from storage.formats.pictures import examine
from storage.mongodb.client import Mongo
from storage.similarity.candidates import RADIUS
from storage.similarity.keypoints import FIGURE_BITS, KEY_BITS, KEYPOINTS_PER_LEVEL, LEVELS, Keypoint, KeypointSet, pack
from storage.similarity.perceptual_hash import GREY_SIDE
from storage.store import Store

BATCH = 10_000
FAMILIES = 200
"""Number of families of similar generated hashes.

Real pictures of counters resemble each other and so fill the index bands unevenly. The families have the same effect.
"""
MARKS = len(LEVELS) * KEYPOINTS_PER_LEVEL
COMMON_FIGURES, COMMON_SHARE = 130_000, 0.1
"""Number of figures (fingerprints of marks) that many pictures have, and their share of all marks.

With these values, 2 of 10,000 pictures share a looked-up key. The same was measured among photos.
"""

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.add_typer(main.app)
app.add_typer(api_speed.app)
app.add_typer(phones.app)


@app.callback()
def bench() -> None:
    """Measure Mingcha on this machine."""


@app.command()
def likeness(
    *,
    hashes: Annotated[
        int,
        typer.Option(help="How many generated pictures, each with hash and marks, surround the real ones."),
    ] = 1_000_000,
    lookups: Annotated[int, typer.Option(help="How many lookups to time.")] = 1_000,
    pictures: Annotated[int, typer.Option(help="How many drawn pictures to copy and look up.")] = 40,
    photos: Annotated[Path | None, typer.Option(help="Folder of real photos to copy and look up as well.")] = None,
    seed: int = 1,
) -> None:
    """Measure lookup time, the share of altered copies that are found, and the share of false matches."""
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
    """Load an empty database, time the lookups, and look up altered copies. Print each result at once."""
    random = Random(seed)  # noqa: S311  figures, no secrets
    likenesses = Likenesses(mongo)
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
    nearby = [[likeness] for likeness in _nearby(planted, lookups, random)]
    await _time_lookups(likenesses, "one hash", nearby, planted)
    common = _common(random)
    unknown = [[replace(likeness, marks=_generate_marks(random, common))] for likeness in _unknown(lookups, random)]
    await _time_lookups(likenesses, f"one whole picture, a hash and {MARKS} marks, that is like no other", unknown, {})
    wholes = [[likeness] for likeness in _nearby(planted, lookups, random, with_marks=True)]
    await _time_lookups(likenesses, "one whole picture that is there", wholes, planted)
    with tempfile.TemporaryDirectory(prefix="mingcha-bench-") as folder:
        for name, files in _collections(Path(folder), pictures, photos):
            await _measure_recall(likenesses, name, files, Path(folder))


@app.command()
def day(
    *,
    observations: Annotated[int, typer.Option(help="How many observations to submit.")] = 20,
    photos: Annotated[
        int, typer.Option(help="How many photos they have together. The bytes of photos are not counted.")
    ] = 60,
    pulls: Annotated[int, typer.Option(help="How many more times the phone pulls changes.")] = 16,
) -> None:
    """Count the bytes of an inspector's first sync and a day's work, in each direction, plain and compressed."""
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
        typer.echo(measured.report(observations, photos))
        await mongo.close()
        objects.close()


@contextlib.asynccontextmanager
async def _database() -> AsyncIterator[Mongo]:
    async with engines() as (_, addresses):
        # Building an index of a million pictures takes minutes.
        mongo = Mongo(addresses.mongo_url, "bench", timeout_seconds=600)
        yield mongo
        await mongo.close()


async def _load(mongo: Mongo, hashes: int, random: Random) -> dict[str, Likeness]:
    """Store generated hashes in families, with generated marks.

    Return some of them by id, so that they can be looked up.
    """
    families = [random.getrandbits(COARSE_BITS) for _ in range(FAMILIES)]
    common = _common(random)
    planted: dict[str, Likeness] = {}
    for start in range(0, hashes, BATCH):
        likenesses, marks = [], []
        for number in range(start, min(start + BATCH, hashes)):
            coarse = _signed(random.choice(families) ^ _noise(random))
            detail = f"{random.getrandbits(DETAIL_BITS):064x}"
            likeness = Likeness(0, coarse, detail, random.randbytes(GREY_SIDE**2), _generate_marks(random, common))
            id = f"med_{number:036x}"
            likenesses.append(likeness_document(id, likeness))
            marks.append(keypoint_document(id, likeness.marks))
            if number % max(hashes // 1000, 1) == 0:
                planted[id] = likeness
        await mongo.collection("likenesses").insert_many(likenesses)
        await mongo.collection("likeness_marks").insert_many(marks)
    return planted


def _common(random: Random) -> list[int]:
    return [random.getrandbits(FIGURE_BITS) for _ in range(COMMON_FIGURES)]


def _generate_marks(random: Random, common: Sequence[int]) -> bytes:
    """Generate marks like those of a photo. Some are similar in many pictures, even beyond their key."""
    keypoints = []
    for number in range(MARKS):
        figure = random.getrandbits(FIGURE_BITS)
        if random.random() < COMMON_SHARE:
            noise = random.getrandbits(FIGURE_BITS) & random.getrandbits(FIGURE_BITS)
            figure = random.choice(common) ^ (noise >> KEY_BITS << KEY_BITS)
        weak = random.randrange(KEY_BITS - 4)
        weak_bits = (weak, weak + 1, weak + 2, weak + 3)
        keypoints.append(Keypoint(figure, weak_bits, random.random(), random.random() * 0.75, number % len(LEVELS)))
    return pack(KeypointSet((1, 0.75), tuple(keypoints)))


def _noise(random: Random) -> int:
    """Return random bits, each set with probability 1/4. They make a hash differ from its family."""
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
    """Return altered copies of likenesses, at the largest distance at which a match is always found."""
    near = []
    for likeness in random.choices(list(planted.values()), k=count):
        flips = sum(1 << place for place in random.sample(range(COARSE_BITS), RADIUS))
        coarse = _signed((likeness.coarse ^ flips) & (1 << COARSE_BITS) - 1)
        near.append(replace(likeness, coarse=coarse) if with_marks else Likeness(0, coarse, likeness.detail))
    return near


async def _time_lookups(
    likenesses: Likenesses, what: str, queries: Sequence[Sequence[Likeness]], planted: dict[str, Likeness]
) -> None:
    by_detail = {likeness.detail: id for id, likeness in planted.items()}
    seconds, missed = [], 0
    for query in queries:
        started = time.perf_counter()
        matches = await likenesses.near("med_none", query, 0)
        seconds.append(time.perf_counter() - started)
        expected = by_detail.get(query[0].detail)
        missed += expected is not None and expected not in {match.media_id for match in matches}
    cuts = statistics.quantiles(seconds, n=100)
    shown = ", ".join(f"p{share} {cuts[share - 1] * 1000:.1f}" for share in (50, 95, 99))
    typer.echo(f"lookup of {what}: {shown}, max {max(seconds) * 1000:.1f} ms; missed {missed} of {len(queries)}")


def _collections(folder: Path, pictures: int, photos: Path | None) -> Iterator[tuple[str, list[Path]]]:
    drawn = []
    for number in range(pictures):
        drawn.append(folder / f"drawn-{number}.jpg")
        drawn[-1].write_bytes(draw_scene(number, 1024, 768, [f"{number:04d}"]))
    yield "drawn counters", drawn
    if photos:
        yield "photos", sorted(path for path in photos.iterdir() if path.is_file())


async def _measure_recall(likenesses: Likenesses, name: str, files: Sequence[Path], folder: Path) -> None:
    """Print the share of each kind of copy that leads to its original, and the number of false matches."""
    limit = next(int(default.value or 0) for default in DEFAULTS if default.kind is ThresholdKind.PICTURE_BITS)
    originals: dict[str, Path] = {}
    for number, path in enumerate(files):
        likeness = examine(path).likeness
        if likeness:
            id = f"med_{name}-{number}".replace(" ", "-")
            originals[id] = path
            await likenesses.store(id, likeness)
    copies, hits, false_matches = Counter[str](), Counter[str](), 0
    for number, (id, path) in enumerate(originals.items()):
        for match in await likenesses.near(id, (await likenesses.of([id]))[id], limit):
            false_matches += match.media_id in originals
        with contextlib.suppress(OSError):
            for kind, body in altered_copies(path, number):
                copy = folder / "copy.jpg"
                copy.write_bytes(body)
                copies[kind] += 1
                matches = await likenesses.near("med_copy", examine(copy).likeness, limit)
                hits[kind] += id in {match.media_id for match in matches}
    typer.echo(
        f"{name}: {len(originals)} of {len(files)} have a likeness;"
        f" {copies.total()} copies looked for, up to {limit} bits"
    )
    for kind in copies:
        typer.echo(f"  {kind:<30}{hits[kind] / copies[kind]:>7.1%}  {hits[kind]} of {copies[kind]}")
    pairs = len(originals) * (len(originals) - 1)
    typer.echo(f"  originals taken for copies of one another: {false_matches} of {pairs} pairs")


if __name__ == "__main__":
    app(prog_name="scripts/bench")
