"""Test the client generators' configurations: their scalars are the SDL's, and their paths lead to the contract."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    FieldNode,
    GraphQLScalarType,
    OperationDefinitionNode,
    build_schema,
    is_specified_scalar_type,
    parse,
)
from graphql.language import SelectionSetNode

from mobile_contract import documents
from mobile_contract.levels import SDL

FOLDER = documents.FOLDER / "codegen"
KOTLIN = (FOLDER / "build.gradle.kts").read_text(encoding="utf-8")
TYPESCRIPT = json.loads((FOLDER / "typescript.json").read_text(encoding="utf-8"))
SWIFT = json.loads((FOLDER / "apollo-codegen-config.json").read_text(encoding="utf-8"))
SWIFT_KEYS = {
    "": {"schemaNamespace", "input", "output", "options", "experimentalFeatures", "schemaDownload", "operationManifest"},
    "input": {"schemaSearchPaths", "operationSearchPaths"},
    "output": {"schemaTypes", "operations", "testMocks"},
    "output.schemaTypes": {"path", "moduleType"},
    "output.schemaTypes.moduleType": {"embeddedInTarget", "swiftPackage", "other"},
    "output.schemaTypes.moduleType.swiftPackage": {"apolloSDKDependency"},
    "output.operations": {"inSchemaModule", "relative", "absolute"},
    "output.operations.inSchemaModule": set(),
    "output.testMocks": {"none", "absolute", "swiftPackage"},
    "output.testMocks.none": set(),
    "options": {
        "additionalCapitalizationRules", "additionalInflectionRules", "appendSchemaTypeFilenameSuffix",
        "conversionStrategies", "deprecatedEnumCases", "markTypesNonisolated", "operationDocumentFormat",
        "pruneGeneratedFiles", "reduceGeneratedSchemaTypes", "schemaCustomization", "schemaDocumentation",
        "selectionSetInitializers", "warningsOnDeprecatedUsage",
    },
    "options.schemaCustomization": {"customTypeNames"},
}  # fmt: skip
"""For each path, the keys that `ApolloCodegenConfiguration` of Apollo iOS 2.3 decodes. Any other key is an error."""
KOTLIN_OPTIONS = {"packageName", "schemaFile", "sealedClassesForEnumsMatching", "addTypename"}
"""Properties of `Service` in Apollo Kotlin 4.4 that are used here. `KOTLIN_FUNCTIONS` names the functions."""
KOTLIN_FUNCTIONS = {"srcDir", "mapScalar", "mapScalarToKotlinLong"}


def custom_scalars() -> set[str]:
    types = build_schema(SDL.read_text(encoding="utf-8")).type_map.values()
    return {each.name for each in types if isinstance(each, GraphQLScalarType) and not is_specified_scalar_type(each)}


def test_every_client_maps_exactly_the_custom_scalars_of_the_sdl() -> None:
    [typescript] = TYPESCRIPT["generates"].values()
    swift = SWIFT["options"]["schemaCustomization"]["customTypeNames"]
    declared = re.findall(
        r"^public (?:typealias|struct) (\w+)", (FOLDER / "CustomScalars.swift").read_text(), re.MULTILINE
    )
    assert set(typescript["config"]["scalars"]) == custom_scalars()
    assert set(re.findall(r'mapScalar\w*\("(\w+)"', KOTLIN)) == custom_scalars()
    assert set(swift) == custom_scalars()
    assert sorted(declared) == sorted(swift.values())


def test_configured_paths_lead_to_the_sdl_and_every_operation() -> None:
    of_kotlin = dict(re.findall(r'(schemaFile\.set\(file|srcDir)\("([^"]+)"', KOTLIN))
    for schema in (TYPESCRIPT["schema"], *SWIFT["input"]["schemaSearchPaths"], of_kotlin["schemaFile.set(file"]):
        assert (FOLDER / schema).resolve() == SDL
    for pattern in (
        TYPESCRIPT["documents"],
        *SWIFT["input"]["operationSearchPaths"],
        f"{of_kotlin['srcDir']}/*.graphql",
    ):
        parent, name = (FOLDER / pattern).parent, Path(pattern).name
        assert sorted(file.stem for file in parent.resolve().glob(name)) == documents.operation_names()


def test_the_swift_configuration_has_only_keys_that_apollo_accepts() -> None:
    found = dict(_keys(SWIFT, ""))
    assert {path: keys - SWIFT_KEYS.get(path, set()) for path, keys in found.items() if keys - SWIFT_KEYS[path]} == {}
    for choice in ("output.schemaTypes.moduleType", "output.operations", "output.testMocks"):
        assert len(found[choice]) == 1, choice
    assert SWIFT["options"]["schemaDocumentation"] in {"include", "exclude"}
    scalars = (FOLDER / "CustomScalars.swift").read_text(encoding="utf-8")
    assert "@_spi(Internal) @_spi(Execution) import ApolloAPI" in scalars  # the protocol's requirements are in its SPI


def _keys(value: dict[str, Any], path: str) -> Iterator[tuple[str, set[str]]]:
    yield path, set(value)
    for name, below in value.items():
        if isinstance(below, dict) and name != "customTypeNames":
            yield from _keys(below, f"{path}.{name}".removeprefix("."))


def test_the_kotlin_configuration_uses_known_options_and_matching_versions() -> None:
    [service] = re.findall(r'^    service\("mingcha"\) \{\n(.*?)^    \}', KOTLIN, re.MULTILINE | re.DOTALL)
    statements = [line.strip() for line in service.splitlines() if line.strip() and not line.strip().startswith("//")]
    words = [re.match(r"(\w+)(\.set)?\(", each) for each in statements]
    assert all(words), statements
    assert {found[1] for found in words if found and found[2]} == KOTLIN_OPTIONS
    assert {found[1] for found in words if found and not found[2]} == KOTLIN_FUNCTIONS
    versions = re.findall(r'com\.apollographql\.apollo(?::apollo-runtime:|"\) version ")([\d.]+)', KOTLIN)
    assert versions == versions[:1] * 2


@pytest.mark.parametrize("name", documents.operation_names())
def test_every_selection_below_the_root_asks_for_its_typename(name: str) -> None:
    """Caches need `__typename`, and a client that sends only a document's id cannot add it."""
    [operation] = parse(documents.text_of(name)).definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert list(_untyped(operation.selection_set)) == []


def _untyped(selections: SelectionSetNode) -> list[str]:
    """Return the fields whose selection lacks `__typename`, at any depth."""
    found = []
    for each in selections.selections:
        below = getattr(each, "selection_set", None)
        if below is None:
            continue
        if isinstance(each, FieldNode):
            plain = {one.name.value for one in below.selections if isinstance(one, FieldNode) and not one.alias}
            found += [] if "__typename" in plain else [each.name.value]
        found += _untyped(below)
    return found
