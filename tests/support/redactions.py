"""Make photos that are READY, and take redactions of them through their steps."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from api.graphql.context import clock
from api.publication.redaction_worker import RedactionWorker
from schema.media.media import Rendition, Thumbnail
from schema.media.media_facts import MediaFacts
from scripts.demo.scenes import draw_scene
from tests.support.world import REFUSED, World, draft, medium, new_id

COUNTER = draw_scene(1, 640, 480, [])
"""A picture of three clerks behind glass."""
FIELDS = """
id state purpose faceDetection revision failure requestedAt
faces { left top right bottom origin confidence } boxes { left top right bottom origin confidence }
rendering { revision sha256 byteSize width height renderedAt }
history { kind revision boxCount sha256 note by { id } }
media { id } requestedBy { id } decidedBy { id } link { url contentType width height }
"""


def step(name: str, input_type: str) -> str:
    return f"""
mutation Step($input: {input_type}!) {{
  {name}(input: $input) {{ ... on RedactionPayload {{ redaction {{ {FIELDS} }} }} {REFUSED} }}
}}"""


STEPS = {
    "request": step("requestRedaction", "RequestRedactionInput"),
    "correct": step("correctRedaction", "CorrectRedactionInput"),
    "approve": step("approveRedaction", "ApproveRedactionInput"),
    "reject": step("rejectRedaction", "RejectRedactionInput"),
}
ONE = f"query One($id: ID!) {{ redaction(id: $id) {{ {FIELDS} }} }}"
OF_MEDIUM = (
    "query All($id: ID!) { observation(id: $id) { content { media { redactions { id state link { url } } } } } }"
)
BOX = {"left": 0.25, "top": 0.5, "right": 0.5, "bottom": 0.75}


async def ready_photo(
    world: World,
    body: bytes = COUNTER,
    *,
    by: str = "inspector",
    observation: Mapping[str, Any] | None = None,
    **fields: Any,
) -> tuple[str, str]:
    """Submit an observation with one READY photo that can be shown. Return the ids of observation and photo."""
    photo = medium(body, **fields)
    [result] = await world.submit(by, draft(media=[photo], **(observation or {})))
    await world.store.objects.put(f"originals/{photo['id']}-{photo['sha256']}", body, "image/jpeg")
    await world.store.media.confirm(photo["id"], clock())
    shown = [Thumbnail(rendition=Rendition.SMALL, width=320, height=240, key="thumbnails/none")]
    await world.store.media.mark_ready(photo["id"], clock(), MediaFacts(width=640, height=480), shown)
    return result["id"], photo["id"]


async def take(world: World, name: str, what: str, **input: Any) -> dict[str, Any]:
    """Take the step `what` as that person. Return the redaction after the step, or the refusal."""
    [answer] = (await world.ask(name, STEPS[what], input=input)).values()
    found: dict[str, Any] = answer.get("redaction", answer)
    return found


async def requested(world: World, media_id: str, name: str = "officer") -> str:
    id = new_id("red")
    made = await take(world, name, "request", id=id, mediaId=media_id, purpose="通报用图")
    assert made["state"] == "REQUESTED", made
    return id


async def one(world: World, name: str, id: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (await world.ask(name, ONE, id=id))["redaction"]
    return found


async def of_medium(world: World, name: str, observation_id: str) -> list[dict[str, Any]]:
    """Return the redactions that the person sees beside the photo."""
    answer = (await world.ask(name, OF_MEDIUM, id=observation_id))["observation"]
    [photo] = answer["content"]["media"]
    found: list[dict[str, Any]] = photo["redactions"]
    return found


def worker(world: World, folder: Path, *, model: Path | None = None, later: timedelta = timedelta()) -> RedactionWorker:
    """Return a worker. Without a model it finds no faces, which is enough for most tests."""
    return RedactionWorker(world.store, folder, lambda: clock() + later, model=model)


async def corrected(world: World, id: str, name: str = "officer", *boxes: dict[str, float], revision: int = 0) -> Any:
    return await take(
        world, name, "correct", id=new_id("evt"), redactionId=id, revision=revision, boxes=list(boxes or [BOX])
    )


async def awaiting(world: World, folder: Path, media_id: str, name: str = "officer") -> dict[str, Any]:
    """Request and correct a redaction, and return it. The redaction then awaits approval by a second person."""
    id = await requested(world, media_id, name)
    work = worker(world, folder)
    assert await work.do_one()
    await corrected(world, id, name)
    assert await work.do_one()
    found = await one(world, name, id)
    assert found is not None
    assert found["state"] == "AWAITING_APPROVAL", found
    return found


async def approved(world: World, redaction: dict[str, Any], name: str = "clerk") -> dict[str, Any]:
    """Look at the redaction as that person, approve it, and return the result."""
    await one(world, name, redaction["id"])
    sha256 = redaction["rendering"]["sha256"]
    return await take(world, name, "approve", id=new_id("evt"), redactionId=redaction["id"], sha256=sha256)


def sha256_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
