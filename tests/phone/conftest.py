"""Provide phones, and the running product that they send to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mobile_contract.phone.storage import key_wrapping
from storage.embedded.engines import Addresses
from tests.support.phone_cli import Spawner, Terminal
from tests.support.phone_sessions import PASSWORD
from tests.support.running_product import PARTS, RunningProduct


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make key derivation cheap in this process, and give the phone its usual password."""
    monkeypatch.setattr(key_wrapping, "MEMORY_KIB", 8)
    monkeypatch.setattr(key_wrapping, "PASSES", 1)
    monkeypatch.setenv("MINGCHA_PHONE_PASSWORD", PASSWORD)
    monkeypatch.delenv("MINGCHA_PHONE_KEY", raising=False)


@pytest.fixture(scope="session")
def spawner() -> Iterator[Spawner]:
    """Load the phone's commands once."""
    made = Spawner(light_locks=True)
    yield made
    made.close()


@pytest.fixture(scope="package")
def product(engines: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProduct]:
    """Run a product that takes photos above 64 KiB in parts, and whose access tokens expire after two seconds.

    It ends with the folder's tests, because a product that nobody asks takes a sixteenth of a core.
    """
    made = RunningProduct(engines, tmp_path_factory.mktemp("product"), MINGCHA_ACCESS_TOKEN_SECONDS="2", **PARTS)
    yield made
    made.close()


@pytest.fixture
def served(product: RunningProduct) -> RunningProduct:
    """Return the product, with networks that don't fail."""
    product.calm()
    return product


@pytest.fixture
def inspector(served: RunningProduct) -> str:
    """Add an inspector, and return the user name."""
    return served.person()


@pytest.fixture
def terminal(spawner: Spawner, served: RunningProduct, inspector: str, tmp_path: Path) -> Terminal:
    """Return a phone on which the inspector is signed in."""
    made = Terminal(spawner, tmp_path / "phone")
    made.sign_in(served.address, inspector, PASSWORD)
    served.calm()
    return made
