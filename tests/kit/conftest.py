"""Provide the product that the conformance kit checks."""

from collections.abc import Iterator

import pytest

from storage.embedded.engines import Addresses
from tests.support.kit_runs import add_reference_data
from tests.support.running_product import RunningProduct


@pytest.fixture(scope="package")
def conforming(engines: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProduct]:
    """Run a product for the conformance kit. Tokens last as in production, but upload slots expire after seconds.

    It ends with the folder's tests, because a product that nobody asks takes a sixteenth of a core.
    """
    settings = {"MINGCHA_S3_PUBLIC_ENDPOINT": engines.s3_endpoint, "MINGCHA_UPLOAD_SLOT_SECONDS": "6"}
    made = RunningProduct(engines, tmp_path_factory.mktemp("conforming"), **settings)
    made.within(add_reference_data)
    yield made
    made.close()
