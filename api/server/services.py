"""Open the services that one process holds for all its requests."""

from api.accounts.key_ring import KeyRing
from api.accounts.passwords import Passwords
from api.evidence.evidence_keys import EvidenceKeys
from api.evidence.pack_urls import pack_link
from api.graphql.context import Services
from api.server.areas import REGISTRY
from api.settings import Settings
from storage.store import Store


def open_services(store: Store, settings: Settings, passwords: Passwords | None = None) -> Services:
    """Open the services. The key folders are named by `settings`. Tests pass `passwords` with a lower cost."""
    return Services(
        store=store,
        settings=settings,
        keys=KeyRing(settings.keys_folder),
        evidence=EvidenceKeys(settings.keys_folder),
        passwords=passwords or Passwords(),
        registry=REGISTRY,
        pack_link=pack_link,
    )
