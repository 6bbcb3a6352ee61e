"""Test picture similarity: copies keep their hash, blank pictures have none, and indexes find every near picture."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from api.checks.runner import CheckRunner
from api.graphql.context import clock
from api.media.verification import MediaVerifier
from schema.checks.similarity import COARSE_BITS, Likeness, coarse_bits_apart, detail_bits_apart
from scripts.benchmarks.altered_pictures import altered_copies
from scripts.demo.scenes import draw_scene
from storage.checks.similar_pictures import (
    BANDS,
    Likenesses,
    band_of,
    keypoint_document,
    likeness_document,
    neighbours,
)
from storage.embedded.engines import Addresses
from storage.formats.pictures import examine
from storage.formats.reader import examine as examine_any
from storage.formats.sandbox import Decoder
from storage.formats.similarity_features import _dilate
from storage.indexes import ensure_indexes
from storage.mongodb.client import Mongo
from storage.similarity.candidates import RADIUS
from storage.similarity.keypoints import pack, unpack
from storage.similarity.perceptual_hash import CUTS
from tests.support.command_counter import Commands
from tests.support.flags import codes_of, flags_of
from tests.support.picture_files import saved
from tests.support.uploads import hand_in
from tests.support.world import World

PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "data" / "photos"
FIGURES = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture
async def index(mongo: Mongo) -> Likenesses:
    await ensure_indexes(mongo)
    return Likenesses(mongo)


def of(folder: Path, body: bytes) -> tuple[Likeness, ...]:
    path = folder / "picture"
    path.write_bytes(body)
    return examine(path).likeness


@given(FIGURES, st.sets(st.integers(0, COARSE_BITS - 1), max_size=RADIUS))
def test_hashes_within_the_radius_share_a_neighbouring_band(coarse: int, flipped: set[int]) -> None:
    """Because of this the index misses no near hash, wherever the differing bits are."""
    other = coarse
    for place in flipped:
        other ^= 1 << place
    other = (other + 2**63) % 2**64 - 2**63
    assert coarse_bits_apart(coarse, other) == len(flipped)
    assert any(band_of(other, band) in set(neighbours(coarse, band)) for band in BANDS)


@given(FIGURES)
def test_the_bands_together_are_the_whole_hash(coarse: int) -> None:
    put_together = sum(band_of(coarse, band) << first for band, (first, _) in BANDS.items())
    assert put_together == coarse % 2**64


async def test_near_pictures_are_found_among_others_nearest_first(index: Likenesses) -> None:
    random = Random(7)  # noqa: S311
    detail = f"{random.getrandbits(256):064x}"
    for number in range(300):
        other = Likeness(0, random.getrandbits(63), f"{random.getrandbits(256):064x}")
        await index.store(f"med_{number}", [other])
    one = Likeness(0, 0b1010, detail)
    await index.store("med_same", [one])
    await index.store("med_near", [Likeness(0, 0b0101, f"{int(detail, 16) ^ 0b111:064x}")])
    await index.store("med_framed", [Likeness(1, 0b1010, detail)])
    await index.store("med_unlike", [Likeness(0, 0b1010, f"{int(detail, 16) ^ ((1 << 40) - 1):064x}")])
    found = await index.near("med_new", [one], 24)
    assert [(each.media_id, each.bits) for each in found] == [("med_framed", 0), ("med_same", 0), ("med_near", 3)]
    assert [each.media_id for each in await index.near("med_same", [one], 0)] == ["med_framed"]
    assert await index.near("med_new", [], 24) == []


async def test_a_hash_lookup_reads_only_the_indexes(index: Likenesses, mongo: Mongo) -> None:
    await index.store("med_1", [Likeness(0, 77, "0" * 64)])
    for band in BANDS:
        find = {
            "find": "likenesses",
            "filter": {band: {"$in": list(neighbours(77, band))}},
            "projection": {"coarse": 1, "_id": 1, band: 1},
        }
        plan = await mongo.command("explain", find, verbosity="executionStats")
        assert "IXSCAN" in str(plan)
        assert "FETCH" not in str(plan["queryPlanner"]["winningPlan"])
        assert (plan["executionStats"]["totalDocsExamined"], plan["executionStats"]["nReturned"]) == (0, 1)


async def test_keypoints_are_looked_up_in_one_command_through_their_index(mongo: Mongo) -> None:
    await ensure_indexes(mongo)
    await mongo.collection("likeness_marks").insert_one({"_id": "med_1", "keys": [5, 77, 91], "marks": b""})
    find = {"find": "likeness_marks", "filter": {"keys": {"$in": [76, 77, 78, 91]}}, "projection": {"marks": 1}}
    plan = await mongo.command("explain", find, verbosity="executionStats")
    assert "IXSCAN" in str(plan["queryPlanner"]["winningPlan"])
    assert (plan["executionStats"]["totalDocsExamined"], plan["executionStats"]["nReturned"]) == (1, 1)


async def test_a_picture_lookup_takes_a_fixed_number_of_commands(
    mongo: Mongo, engines: Addresses, tmp_path: Path
) -> None:
    """A lookup takes three commands for the hash, one for the keypoints and at most two for the candidates.

    The number of stored pictures makes no difference.
    """
    await ensure_indexes(mongo)
    commands = Commands()
    counted = Mongo(engines.mongo_url, mongo.name, listeners=[commands])
    wanted = of(tmp_path, draw_scene(1, 640, 480, []))
    counts = []
    for more in range(2):
        for seed in range(4):
            unlike = of(tmp_path, draw_scene(100 + 10 * more + seed, 640, 480, []))
            await Likenesses(mongo).store(f"med_{more}{seed}", unlike)
        commands.clear()
        assert await Likenesses(counted).near("med_new", wanted, 24) == []
        counts.append(commands.total)
    await counted.close()
    assert max(counts) <= 6


async def test_storing_a_picture_again_changes_nothing(index: Likenesses, mongo: Mongo, tmp_path: Path) -> None:
    made = list(of(tmp_path, draw_scene(2, 640, 480, [])))
    for _ in range(2):
        await index.store("med_1", made)
    assert await mongo.collection("likenesses").find({}) == [likeness_document("med_1", each) for each in made]
    assert await mongo.collection("likeness_marks").find({}) == [keypoint_document("med_1", made[0].marks)]
    assert await index.of(["med_1", "med_2"]) == {"med_1": made}


@pytest.mark.parametrize("seed", [3, 11])
async def test_altered_copies_are_matched_to_their_original(index: Likenesses, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "original.jpg"
    path.write_bytes(draw_scene(seed, 800, 600, ["0900"]))
    await index.store("med_original", examine(path).likeness)
    await index.store("med_other", of(tmp_path, draw_scene(seed + 1, 800, 600, ["0900"])))
    found = set()
    for kind, body in altered_copies(path, seed):
        near = await index.near("med_copy", of(tmp_path, body), 24)
        assert "med_other" not in {each.media_id for each in near}
        found |= {kind} if near else set()
    assert found == {kind for kind, _ in altered_copies(path, seed)}


@pytest.mark.skipif(not PHOTOS.exists(), reason="needs ../shared/data")
@pytest.mark.parametrize("name", ["iphone4-rome.jpg", "canon-600d-west-longitude.jpg"])
async def test_altered_copies_of_a_real_photo_are_matched_to_it(index: Likenesses, tmp_path: Path, name: str) -> None:
    await index.store("med_original", examine(PHOTOS / name).likeness)
    await index.store("med_other", examine(PHOTOS / "pixel-prague-region.jpg").likeness)
    for kind, body in altered_copies(PHOTOS / name, 3):
        near = await index.near("med_copy", of(tmp_path, body), 24)
        assert (kind, [each.media_id for each in near]) == (kind, ["med_original"])


@pytest.mark.skipif(not PHOTOS.exists(), reason="needs ../shared/data")
@pytest.mark.parametrize("name", ["android-croydon.mp4", "iphoneX-lijiang.mov"])
def test_a_video_is_compared_by_its_poster_frame(name: str) -> None:
    [whole, *_] = examine_any(PHOTOS / name).likeness
    assert (whole.cut, len(unpack(whole.marks).marks) > 20) == (0, True)


async def test_a_copy_is_found_although_many_pictures_share_its_keypoints(
    index: Likenesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures of the same form share keypoints, for example. The index then looks up each keypoint on its own."""
    monkeypatch.setattr("storage.checks.similar_pictures._MAX_SHARING", 5)
    monkeypatch.setattr("storage.checks.similar_pictures._MAX_PER_KEYPOINT", 4)
    path = tmp_path / "original.jpg"
    path.write_bytes(draw_scene(31, 800, 600, []))
    wanted = of(tmp_path, dict(altered_copies(path, 2))["cut by 20 % anywhere"])
    [whole, *_] = examine(path).likeness
    await index.store("med_original", [whole])
    all_marks = unpack(whole.marks)
    for number in range(6):
        shared = pack(replace(all_marks, marks=all_marks.marks[: len(all_marks.marks) // 2]))
        await index.store(f"med_form_{number}", [replace(whole, coarse=~whole.coarse, grey=b"", marks=shared)])
    assert [each.media_id for each in await index.near("med_copy", wanted, 24)] == ["med_original"]


def test_a_picture_is_hashed_in_its_displayed_orientation(tmp_path: Path) -> None:
    upright = Image.open(io.BytesIO(draw_scene(5, 640, 480, [])))
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    one, other = of(tmp_path, saved(upright, quality=95)), of(tmp_path, saved(turned, quality=95, exif=exif))
    assert detail_bits_apart(one[0].detail, other[0].detail) <= 8
    assert one[0].cut == 0
    assert unpack(one[0].marks).marks


@pytest.mark.parametrize("colour", ["white", "black", (120, 130, 140)])
def test_a_blank_picture_has_no_hash(tmp_path: Path, colour: str | tuple[int, int, int]) -> None:
    assert of(tmp_path, saved(Image.new("RGB", (640, 480), colour))) == ()


def test_tiny_and_narrow_pictures_do_not_break_hashing(tmp_path: Path) -> None:
    for size in ((1, 1), (1, 3000), (3000, 1), (2, 2), (33, 7)):
        noise = Image.effect_noise(size, 90).convert("RGB")
        assert len(of(tmp_path, saved(noise))) <= CUTS


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


@pytest.mark.parametrize("copy_first", [False, True])
async def test_a_copy_submitted_by_another_inspector_is_flagged(
    world: World, http: httpx.AsyncClient, tmp_path: Path, copy_first: bool
) -> None:
    """The test goes from upload to flag. The later observation is flagged, whichever bytes are verified first."""
    path = tmp_path / "original.jpg"
    path.write_bytes(draw_scene(21, 800, 600, ["0900"]))
    copies = dict(altered_copies(path, 1))
    original, original_photo = await hand_in(world, http, "inspector", path.read_bytes())
    copy, copy_photo = await hand_in(world, http, "inspector2", copies["cut by 10 % to a corner"])
    unlike, _ = await hand_in(world, http, "inspector2", draw_scene(22, 800, 600, ["0900"]))
    if copy_first:
        earlier = {"$set": {"due_at": clock() - timedelta(minutes=1)}}
        await world.store.mongo.collection("media").update_one({"_id": copy_photo}, earlier)
    checks = CheckRunner(world.store, clock)
    async with Decoder() as decoder:
        work = MediaVerifier(world.store, decoder, tmp_path, clock)
        while await work.do_one():
            await checks.do_all()
    [flag] = await flags_of(world, copy) or []
    assert (flag["code"], flag["measure"], flag["threshold"]) == ("SIMILAR_PICTURE", "BITS", 24)
    assert flag["value"] <= 24
    assert (flag["medium"], flag["otherMedium"]) == ({"id": copy_photo}, {"id": original_photo})
    assert flag["otherObservation"] == {"id": original}
    assert await codes_of(world, original) == await codes_of(world, unlike) == []
    assert await codes_of(world, copy, "clerk") == ["SIMILAR_PICTURE"]


@given(st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False))
def test_fast_dilation_equals_the_max_filter(width: int, height: int, dice: Random) -> None:
    image = Image.frombytes("L", (width, height), dice.randbytes(width * height))
    assert _dilate(image).tobytes() == image.filter(ImageFilter.MaxFilter(5)).tobytes()
