"""Push gateways: the HTTP calls by which FCM and APNs wake a device; what they say is the same for all, and nothing.

When a device is woken is left to `waking.py`. Sources: Firebase's HTTP v1 API, Apple's "Sending notification requests to
APNs" and "Handling notification responses from APNs".
"""

import enum
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import anyio
import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from api.settings import SettingError, Settings
from schema.notifications.push_tokens import PushService

KIND = "changes"
"""All that a push says. It is the same for every record: an inspector's phone lies on tables."""
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FCM_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
APNS_TOKEN_SECONDS = 40 * 60
"""Apple refuses a token above an hour of age, and one that is renewed more often than every 20 minutes."""
EXPIRES_SECONDS = 24 * 3600
EARLY_SECONDS = 60
CALL_SECONDS = 15.0
STALE_TOKENS = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"})


class Woken(enum.Enum):
    """What came of a call."""

    SENT = "SENT"
    UNREGISTERED = "UNREGISTERED"
    """The service knows the token no more."""
    LATER = "LATER"
    """The service, or the way to it, is not there at present."""
    REFUSED = "REFUSED"
    """The service will not have this call, now or later: a fault of ours or of the settings."""


class PushGateway(Protocol):
    async def wake(self, token: str) -> Woken:
        """Wake one device. Raises nothing for what the service answers, nor when it can't be reached."""


@dataclass(frozen=True)
class _Bearer:
    text: str
    good_until: float


class Fcm:
    """Firebase Cloud Messaging, HTTP v1; `account` is the service account's key file as Google gives it out."""

    def __init__(self, client: httpx.AsyncClient, account: Mapping[str, Any], url: str) -> None:
        """Raise `SettingError` for what is no such file."""
        self._client = client
        try:
            self._key = RSAKey.import_key(account["private_key"])
            self._email, self._token_url = account["client_email"], account["token_uri"]
            self._url = f"{url}/v1/projects/{account['project_id']}/messages:send"
        except (KeyError, TypeError, ValueError, JoseError):
            raise SettingError("MINGCHA_FCM_ACCOUNT must name the JSON key file of a service account.") from None
        self._bearer: _Bearer | None = None
        self._asking = anyio.Lock()

    async def wake(self, token: str) -> Woken:
        message = {
            "token": token,
            "data": {"kind": KIND},
            "android": {"collapse_key": KIND, "priority": "HIGH", "ttl": f"{EXPIRES_SECONDS}s"},
        }
        try:
            bearer = await self._authorized()
            answer = await self._client.post(
                self._url, json={"message": message}, headers={"Authorization": f"Bearer {bearer}"}
            )
        except (httpx.HTTPError, _RetryLaterError):
            return Woken.LATER
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> Woken:
        if answer.is_success:
            return Woken.SENT
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._bearer = None
            return Woken.LATER
        details = _json(answer).get("error", {})
        details = details.get("details", []) if isinstance(details, dict) else []
        codes = {each.get("errorCode") for each in details if isinstance(each, dict)}
        # In its own words alone: a 404 of something that stands in between would have every device forgotten.
        if not codes.isdisjoint({"UNREGISTERED", "SENDER_ID_MISMATCH"}):
            return Woken.UNREGISTERED
        return _later_or_refused(answer)

    async def _authorized(self) -> str:
        async with self._asking:  # of many calls at once one asks for it
            now = time.time()
            if self._bearer is None or self._bearer.good_until <= now:
                self._bearer = await self._asked(now)
            return self._bearer.text

    async def _asked(self, now: float) -> _Bearer:
        claims = {
            "iss": self._email,
            "scope": FCM_SCOPE,
            "aud": self._token_url,
            "iat": int(now),
            "exp": int(now) + 3600,
        }
        assertion = jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, self._key)
        answer = await self._client.post(self._token_url, data={"grant_type": GRANT, "assertion": assertion})
        told = _json(answer)
        token, seconds = told.get("access_token"), told.get("expires_in", 0)
        if not (answer.is_success and isinstance(token, str) and isinstance(seconds, int | float)):
            raise _RetryLaterError
        return _Bearer(token, now + seconds - EARLY_SECONDS)


class Apns:
    """Apple Push Notification service with a provider token; `key` is the .p8 file's text, `topic` the app's bundle id."""

    def __init__(self, client: httpx.AsyncClient, *, key: str, key_id: str, team_id: str, topic: str, url: str) -> None:
        """Raise `SettingError` for what is no such key."""
        self._client = client
        try:
            self._key = ECKey.import_key(key)
        except (ValueError, TypeError, JoseError):
            raise SettingError("MINGCHA_APNS_KEY must name the .p8 file of a key for APNs.") from None
        self._key_id, self._team_id, self._topic, self._url = key_id, team_id, topic, url
        self._bearer: _Bearer | None = None

    async def wake(self, token: str) -> Woken:
        headers = {
            "authorization": f"bearer {self._authorized()}",
            "apns-topic": self._topic,
            "apns-push-type": "background",  # shows nothing, by its very kind
            "apns-priority": "5",
            "apns-collapse-id": KIND,
            "apns-expiration": str(int(time.time()) + EXPIRES_SECONDS),
        }
        body = {"aps": {"content-available": 1}, "kind": KIND}
        try:
            answer = await self._client.post(f"{self._url}/3/device/{token}", json=body, headers=headers)
        except httpx.HTTPError:
            return Woken.LATER
        if answer.is_success:
            return Woken.SENT
        reason = _json(answer).get("reason")
        if answer.status_code == httpx.codes.GONE or reason in STALE_TOKENS:
            return Woken.UNREGISTERED
        if reason in {"ExpiredProviderToken", "InvalidProviderToken"}:
            self._bearer = None
            return Woken.LATER
        return _later_or_refused(answer)

    def _authorized(self) -> str:
        now = time.time()
        if self._bearer is None or self._bearer.good_until <= now:
            header = {"alg": "ES256", "kid": self._key_id}
            text = jwt.encode(header, {"iss": self._team_id, "iat": int(now)}, self._key)
            self._bearer = _Bearer(text, now + APNS_TOKEN_SECONDS)
        return self._bearer.text


class _RetryLaterError(Exception):
    """No access token is to be had at present."""


def push_caller() -> httpx.AsyncClient:
    """HTTP/2, which is all that APNs speaks."""
    return httpx.AsyncClient(http2=True, timeout=CALL_SECONDS, follow_redirects=False)


def gateways(settings: Settings, client: httpx.AsyncClient) -> dict[PushService, PushGateway]:
    """Those that the settings name; none is no fault. Raise `SettingError` for what does not go together."""
    found: dict[PushService, PushGateway] = {}
    if settings.fcm_account:
        try:
            account = json.loads(_text(settings.fcm_account, "MINGCHA_FCM_ACCOUNT"))
        except ValueError:
            account = None
        found[PushService.FCM] = Fcm(client, account, settings.fcm_url)
    named = (settings.apns_key_id, settings.apns_team_id, settings.apns_topic)
    if settings.apns_key or any(named):
        key_id, team_id, topic = named
        if not (settings.apns_key and key_id and team_id and topic):
            raise SettingError(
                "MINGCHA_APNS_KEY, MINGCHA_APNS_KEY_ID, MINGCHA_APNS_TEAM_ID and MINGCHA_APNS_TOPIC go together: set all four."
            )
        key = _text(settings.apns_key, "MINGCHA_APNS_KEY")
        url = settings.apns_url
        found[PushService.APNS] = Apns(client, key=key, key_id=key_id, team_id=team_id, topic=topic, url=url)
    return found


def _text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SettingError(f"{name} names a file that can't be read.") from None


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _later_or_refused(answer: httpx.Response) -> Woken:
    is_passing = answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error
    return Woken.LATER if is_passing else Woken.REFUSED
