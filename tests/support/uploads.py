"""Announce, upload and confirm media."""

from datetime import datetime, timedelta
from typing import Any

import httpx

from schema.media.media import Media
from scripts.demo.scenes import draw_scene
from tests.support.world import REFUSED, World, draft, medium

ABORT = f"""
mutation Abort($input: AbortUploadsInput!) {{
  abortUploads(input: $input) {{
    ... on AbortUploadsPayload {{ results {{ mediaId media {{ id state }} refusal {{ code nextStep }} }} }}
    {REFUSED}
  }}
}}"""


def late_announcement(photo: dict[str, Any], observation_id: str, **fields: Any) -> dict[str, Any]:
    """Return the input that announces a medium for an observation submitted earlier."""
    told = {key: value for key, value in photo.items() if key != "id"} | {"observationId": observation_id}
    return {"mediaId": photo["id"], "announcement": told | fields}


async def request_uploads(world: World, *media: dict[str, Any], name: str = "inspector") -> list[dict[str, Any]]:
    answer = await world.ask(name, REQUEST, input={"media": list(media)})
    results: list[dict[str, Any]] = answer["requestUploads"]["results"]
    return results


JPEG = draw_scene(1, 640, 480, ["0900"])
REQUEST = f"""
mutation Request($input: RequestUploadsInput!) {{
  requestUploads(input: $input) {{
    ... on RequestUploadsPayload {{
      results {{
        mediaId hasArrived refusal {{ code field }}
        slot {{
          kind url headers {{ name value }} fields {{ name value }} expiresAt
          parts {{ number offset byteSize url headers {{ name value }} hasArrived }}
        }}
      }}
    }}
    {REFUSED}
  }}
}}"""
CONFIRM = f"""
mutation Confirm($input: ConfirmMediaInput!) {{
  confirmMedia(input: $input) {{
    ... on ConfirmMediaPayload {{ results {{ mediaId media {{ id state }} refusal {{ code nextStep }} }} }}
    {REFUSED}
  }}
}}"""
MEDIA = """
query One($id: ID!) {
  observation(id: $id) {
    mediaExpected mediaArrived
    content {
      media {
        id state rejection device sha256 byteSize uploadedAt readyAt
        facts {
          contentType width height orientation displayWidth displayHeight takenAtLocal takenAt takenOffsetMinutes damage
          position { latitude longitude source } positionAbsent
        }
        original: link(rendition: ORIGINAL) { url contentType expiresAt width height }
        large: link(rendition: LARGE) { url contentType width height }
        small: link(rendition: SMALL) { url contentType width height }
      }
    }
  }
}"""


async def upload(http: httpx.AsyncClient, slot: dict[str, Any], body: bytes, **headers: str) -> int:
    """PUT a body to a slot, and return the store's status. `headers` replace headers of the slot."""
    given = {each["name"]: each["value"] for each in slot["headers"]} | headers | {"content-length": str(len(body))}
    return (await http.put(slot["url"], content=body, headers=given)).status_code


async def announce(world: World, body: bytes, **fields: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Submit an observation with one medium; return its id, the medium, and the upload slot."""
    photo = medium(body, **fields)
    [result] = await world.submit("inspector", draft(media=[photo]))
    return result["id"], photo, result["uploads"][0]


async def fresh_slot(world: World, photo: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Request a new upload slot for a medium."""
    asked = {"media": [{"mediaId": photo["id"]} | fields]}
    [result] = (await world.ask("inspector", REQUEST, input=asked))["requestUploads"]["results"]
    slot: dict[str, Any] = result["slot"]
    return slot


async def confirm(world: World, *ids: str, name: str = "inspector") -> list[dict[str, Any]]:
    answer = await world.ask(name, CONFIRM, input={"mediaIds": list(ids)})
    results: list[dict[str, Any]] = answer["confirmMedia"]["results"]
    return results


async def claim(world: World, now: datetime, lease: timedelta) -> Media | None:
    """Claim the inspector's work on media that is due first, as a worker does."""
    return await world.store.verification.claim(now, lease, world.people["inspector"].id)


async def only_medium(world: World, observation_id: str, name: str = "inspector") -> dict[str, Any]:
    answer = await world.ask(name, MEDIA, id=observation_id)
    [found] = answer["observation"]["content"]["media"]
    return dict(found) | {key: answer["observation"][key] for key in ("mediaExpected", "mediaArrived")}


async def hand_in(world: World, http: httpx.AsyncClient, name: str, body: bytes) -> tuple[str, str]:
    photo = medium(body)
    [result] = await world.submit(name, draft(media=[photo]))
    assert await upload(http, result["uploads"][0], body) == 200
    await confirm(world, photo["id"], name=name)
    return result["id"], photo["id"]
