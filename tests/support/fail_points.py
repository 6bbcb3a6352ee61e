"""Let the database server fail commands by its own fail points."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from storage.mongodb.client import Mongo

COMMANDS = ["find", "aggregate", "distinct", "insert", "update", "delete", "findAndModify"]


@asynccontextmanager
async def failing(system: Mongo, mongo: Mongo, collection: str, **how: Any) -> AsyncIterator[None]:
    """Let the server fail every command on this collection of the test's own database."""
    data = {"failCommands": COMMANDS, "namespace": f"{mongo.name}.{collection}", "failInternalCommands": False} | how
    await system.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
    try:
        yield
    finally:
        await system.command("configureFailPoint", "failCommand", mode="off")
