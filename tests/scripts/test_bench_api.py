"""Test that the measurement of the API's speed measures what it claims to, and what its workloads cost in commands."""

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import parse

from api.accounts.key_ring import KeyRing
from api.server.app import create_app
from api.settings import Settings
from scripts.benchmarks.api_speed.dataset import OtherDataError, load
from scripts.benchmarks.api_speed.generator import generator
from scripts.benchmarks.api_speed.limit import limit_app
from scripts.benchmarks.api_speed.main import sync_first
from scripts.benchmarks.api_speed.measurement import Extent, Figures, Measurement, WrongReplyError
from scripts.benchmarks.api_speed.processes import LIMIT, PRODUCT, Target
from scripts.benchmarks.api_speed.report import as_json, commands_text, text
from scripts.benchmarks.api_speed.sampling import Sampler, library_of, shares_text
from scripts.benchmarks.api_speed.workloads import Call, Tokens, Workload, build_workloads, first_syncs
from storage.store import Store
from tests.support.asgi_server import on_a_socket

OBSERVATIONS = 190
"""So many that each county has a case."""
ROOT = Path(__file__).parents[2]
MOST_COMMANDS = {"W1": 4, "W2": 4, "W2link": 5, "W3": 4, "W4": 3, "W5": 3}
"""Largest number of MongoDB commands that a request of each workload may cost."""
EXTENT = Extent(rounds=1, seconds=0.1, connections=2, warming=2, profiled=2)


async def test_the_workloads_are_measured_beside_the_limit(kept: Store, tmp_path: Path) -> None:
    dataset = await load(kept, OBSERVATIONS, print)
    assert await load(kept, OBSERVATIONS, print) == dataset
    with pytest.raises(OtherDataError):
        await load(kept, 10, print)
    await check_shapes(kept)
    settings = Settings(data=tmp_path, log_level="WARNING")
    tokens, before = Tokens(KeyRing(settings.keys_folder)), await counts(kept)
    async with (
        on_a_socket(create_app(settings, kept)) as product_place,
        on_a_socket(limit_app(kept.mongo)) as limit_place,
    ):
        product, limit = (
            Target(name, "motor", f"http://{host}:{port}", (os.getpid(),))
            for name, (host, port) in ((PRODUCT, product_place), (LIMIT, limit_place))
        )
        cursors = await sync_first(product, first_syncs()[:2], tokens)
        workloads = build_workloads(dataset, cursors)
        assert {workload.name for workload in workloads} == MOST_COMMANDS.keys()
        for workload in workloads[1:2] + workloads[3:5]:
            await check_replies(workload.name, workload.calls[0], product, limit, tokens)
        with generator() as sender:
            measurement = Measurement(kept, sender, (os.getpid(),), tmp_path, tokens)
            figures = await measurement.measure([product, limit], workloads, EXTENT)
            sizes = await measurement.soak(product, workloads[3:4], 20, EXTENT)
            wrong = Workload("W3", "wrong", workloads[3].calls, "no reply contains this")
            with pytest.raises(WrongReplyError):
                await measurement.send(wrong, product, connections=1, requests=1)
    assert await counts(kept) == before
    assert len(sizes) == 21
    check_figures(figures, workloads)


async def counts(store: Store) -> list[int]:
    names = ("observations", "media", "clock_readings", "media_accesses")
    return [await store.mongo.collection(name).count({}) for name in names]


async def check_shapes(store: Store) -> None:
    """The loaded documents have the fields of documents that the product stores."""
    for name in ("cases", "assignments", "observations", "media"):
        goldens = json.loads((ROOT / f"tests/stored/goldens/{name}.json").read_text("utf-8"))
        document = await store.mongo.collection(name).find_one({})
        assert document
        assert document.keys() in [golden["document"].keys() for golden in goldens], document.keys()


async def check_replies(name: str, call: Call, product: Target, limit: Target, tokens: Tokens) -> None:
    """The product and the limit give the same reply, with as many values as the workload is said to have."""
    headers = {"Authorization": f"Bearer {tokens.of(call.user)}"}
    async with httpx.AsyncClient(headers=headers) as client:
        shown = await client.post(product.address + product.path(name), json=call.payload)
        least = await client.post(limit.address + limit.path(name), json=call.payload)
    assert shown.json() == least.json()
    if name == "W2":
        assert 430 <= scalars(shown.json()) <= 480


def scalars(value: Any) -> int:
    if isinstance(value, dict | list):
        return sum(map(scalars, value.values() if isinstance(value, dict) else value))
    return 1


def check_figures(figures: list[Figures], workloads: list[Workload]) -> None:
    assert [own.workload for own in figures if own.target == LIMIT] == ["W1", "W2", "W3", "W4"]
    for own in figures:
        assert own.requests > 0
        assert own.rate > 0
        assert own.percentile(0.5) <= own.percentile(0.99)
        if own.target == PRODUCT:
            assert 0 < own.command_count <= MOST_COMMANDS[own.workload], commands_text([own])
            assert not [cost for cost in own.commands if "COLLSCAN" in cost.plans]
            assert bool(own.examined("observations")) == (own.workload in {"W3", "W4"})
    printed = text(figures, workloads).splitlines()
    assert [line.split()[0] for line in printed[2:12]] == [
        own.workload if own.target == PRODUCT else LIMIT for own in figures
    ]
    assert len(as_json(figures, OBSERVATIONS, EXTENT)["figures"]) == len(figures)


def test_samples_name_the_library_that_works() -> None:
    sampler, document = Sampler(), "{" + " ".join(f"field{number}" for number in range(300)) + "}"
    sampler.start()
    try:
        while not sampler.samples["graphql-core"]:
            parse(document)
    finally:
        sampler.stop()
    samples = {"W1": sampler.take(), "W2": {"driver": 3, "api": 1}}
    assert not sampler.take()
    lines = [line.split() for line in shares_text(samples).splitlines()]
    assert lines[0] == ["percent", "W1", "W2"]
    assert ["driver", "0", "75"] in lines
    assert library_of(str(ROOT / "api" / "settings.py")) == "api"
    assert library_of(json.__file__) is None
