"""Read the flags of an observation, and place units where observations raise flags."""

from typing import Any

from schema.geography.positions import GeoPointInput, locate
from tests.support.world import REFUSED, World

HERE: dict[str, Any] = {"latitude": 25.66, "longitude": 114.76}
FAR: dict[str, Any] = {"latitude": 25.75, "longitude": 114.76}
"""Ten kilometres north of `HERE`."""
FLAG = """
id code value threshold measure message messageZh raisedAt state verdict
reviews { id verdict note at by { id } } observation { id } medium { id } otherObservation { id } otherMedium { id }
"""
OF_OBSERVATION = f"query One($id: ID!) {{ observation(id: $id) {{ flags {{ {FLAG} }} }} }}"


async def flags_of(world: World, id: str, name: str = "officer") -> list[dict[str, Any]] | None:
    answer = await world.ask(name, OF_OBSERVATION, id=id)
    flags: list[dict[str, Any]] | None = answer["observation"]["flags"]
    return flags


async def codes_of(world: World, id: str, name: str = "officer") -> list[str]:
    return [flag["code"] for flag in await flags_of(world, id, name) or ()]


async def place_unit(world: World, code: str, latitude: float, longitude: float) -> None:
    unit = world.units[code]
    unit.position = locate(GeoPointInput(latitude=latitude, longitude=longitude))
    await world.store.units.put_all([unit])


REVIEW = f"""
mutation Review($input: ReviewFlagInput!) {{
  reviewFlag(input: $input) {{ ... on FlagPayload {{ flag {{ {FLAG} }} }} {REFUSED} }}
}}"""
