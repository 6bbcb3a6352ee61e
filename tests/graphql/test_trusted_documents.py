"""Test trusted documents: requests name them by SHA-256 in one of two forms, and the strict profile runs no others."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from api.graphql.trusted_documents import NOT_FOUND, TrustedDocuments
from api.http.responses import GRAPHQL_JSON
from api.server.app import create_app
from api.settings import Settings
from mobile_contract.documents import digest, text_of, trusted_documents
from schema.core.refusals import CATALOGUE, RefusalCode
from storage.store import Store
from tests.support.small_schema import Served, serving

HELLO = "query Hello($name: String!) { hello(name: $name) }"
SUBMIT = "mutation Submit($input: SubmitInput!) { submit(input: $input) { accepted unreadable } }"
KNOWN = {digest(text): text for text in (HELLO, SUBMIT)}
VARIABLES = {"name": "明察"}
ANSWER = {"data": {"hello": "hello 明察"}}


async def post(small: Served, **body: Any) -> httpx.Response:
    return await small.client.post("/graphql", json=body, headers={"accept": GRAPHQL_JSON})


def apollo(id: str, version: int = 1) -> dict[str, Any]:
    return {"persistedQuery": {"version": version, "sha256Hash": id}}


@pytest.mark.parametrize("only", [False, True])
async def test_a_document_runs_by_its_id_in_either_form_and_by_its_text(only: bool) -> None:
    id = digest(HELLO)
    async with serving(documents=TrustedDocuments(KNOWN, only=only)) as small:
        for body in (
            {"documentId": f"sha256:{id}"},
            {"extensions": apollo(id)},
            {"query": HELLO},
            {"query": HELLO, "documentId": f"sha256:{id}", "operationName": "Hello"},
            {"query": HELLO, "extensions": apollo(id)},
        ):
            answer = await post(small, **body, variables=VARIABLES)
            assert (answer.status_code, answer.json()) == (200, ANSWER)
        for parameters in ({"documentId": f"sha256:{id}"}, {"extensions": json.dumps(apollo(id))}):
            answer = await small.client.get("/graphql", params={**parameters, "variables": json.dumps(VARIABLES)})
            assert answer.json() == ANSWER
        assert len(small.ran) == 7


async def test_a_trusted_batch_is_salvaged_and_a_mutation_by_get_is_not_run() -> None:
    id = f"sha256:{digest(SUBMIT)}"
    drafts = {"input": {"drafts": [{"id": "a", "count": 1}, {"id": "b", "count": "many"}]}}
    async with serving(documents=TrustedDocuments(KNOWN, only=True)) as small:
        answer = await post(small, documentId=id, variables=drafts)
        assert answer.json()["data"]["submit"] == {"accepted": ["a"], "unreadable": ["1 b drafts.1.count"]}
        got = await small.client.get("/graphql", params={"documentId": id, "variables": json.dumps(drafts)})
        assert got.status_code == 405
        assert small.ran == ["submit"]


@pytest.mark.parametrize("only", [False, True])
async def test_an_unknown_id_is_reported_and_its_text_runs_outside_the_strict_profile(only: bool) -> None:
    other = "query Other { hello }"
    async with serving(documents=TrustedDocuments(KNOWN, only=only)) as small:
        for body in ({"documentId": f"sha256:{digest(other)}"}, {"extensions": apollo(digest(other))}):
            answer = await post(small, **body)
            [error] = answer.json()["errors"]
            assert (answer.status_code, error["message"], error["extensions"]["code"]) == (
                400,
                NOT_FOUND,
                "UNKNOWN_DOCUMENT",
            )
        answer = await post(small, query=other, extensions=apollo(digest(other)))
        if only:
            [error] = answer.json()["errors"]
            assert error["message"] == CATALOGUE[RefusalCode.UNKNOWN_DOCUMENT].message
            assert small.ran == []
        else:
            assert answer.json() == {"data": {"hello": "hello world"}}


@pytest.mark.parametrize(
    "body",
    [
        {"documentId": digest(HELLO)},
        {"documentId": f"sha256:{digest(HELLO).upper()}"},
        {"documentId": "sha256:"},
        {"documentId": 7},
        {"documentId": f"sha256:{digest(HELLO)}", "query": ""},
        {"documentId": f"sha256:{digest(SUBMIT)}", "query": HELLO},
        {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": digest(HELLO)}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "x"}}},
        {"extensions": {"persistedQuery": "x"}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest(SUBMIT)}}, "query": HELLO},
        {"extensions": "x", "documentId": f"sha256:{digest(HELLO)}"},
    ],
)
async def test_an_invalid_document_id_is_refused_before_anything_runs(body: dict[str, Any]) -> None:
    async with serving(documents=TrustedDocuments(KNOWN)) as small:
        answer = await post(small, **body, variables=VARIABLES)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["extensions"]["nextStep"] == "FIX_AND_RESEND"
        assert small.ran == []


@pytest.mark.both_drivers
async def test_the_strict_profile_runs_only_documents_of_the_contract(kept: Store, tmp_path: Any) -> None:
    settings = replace(Settings(data=tmp_path), trusted_documents_only=True)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(settings, kept)), base_url="http://mingcha"
    ) as client:
        variables = {"input": {"userName": "a", "password": "b", "deviceId": "dev_1", "deviceName": "c"}}
        for body in ({"documentId": f"sha256:{digest(text_of('SignIn'))}"}, {"query": text_of("SignIn")}):
            answer = (await client.post("/graphql", json={**body, "variables": variables})).json()
            assert answer["data"]["signIn"]["code"] == "BAD_ID"
        for query in ("{ __schema { types { name } } }", "{ me { userName } }", text_of("SignIn") + " "):
            [error] = (await client.post("/graphql", json={"query": query})).json()["errors"]
            assert error["extensions"]["code"] == "UNKNOWN_DOCUMENT"
        assert (await client.get("/graphql", headers={"accept": "text/html"})).status_code == 406
        assert (await client.get("/")).status_code == 404
    assert len(trusted_documents()) >= 13
