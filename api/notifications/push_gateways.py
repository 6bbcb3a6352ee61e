"""Wake devices through FCM and APNs. All pushes are the same and tell nothing about the changed record.

Sources: Firebase's HTTP v1 API, Apple's "Sending notification requests to APNs" and "Handling notification responses
from APNs".
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
from mobile_contract.proxies import open_client
from schema.notifications.push_tokens import PushService

KIND = "changes"
"""The only content of a push, the same for every record. A push must reveal nothing, because other people may see
the screen of an inspector's phone."""
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
FCM_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
APNS_TOKEN_SECONDS = 40 * 60
"""Age at which our provider token is renewed.

Apple refuses a token that is older than an hour, or that is renewed more often than every 20 minutes.
"""
EXPIRES_SECONDS = 24 * 3600
EARLY_SECONDS = 60
CALL_SECONDS = 15.0
STALE_TOKENS = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"})


class WakeOutcome(enum.Enum):
    SENT = "SENT"
    UNREGISTERED = "UNREGISTERED"
    """The push service no longer knows the token."""
    LATER = "LATER"
    """The push service is down or can't be reached. The call may be tried again."""
    REFUSED = "REFUSED"
    """The push service refuses the call and would always refuse it, because our code or the settings are wrong."""


class PushGateway(Protocol):
    async def wake(self, token: str) -> WakeOutcome:
        """Wake one device. Never raise an error, even if the push service reports an error or can't be reached."""


@dataclass(frozen=True)
class _Bearer:
    text: str
    good_until: float


class Fcm:
    """Firebase Cloud Messaging, HTTP v1. `account` is the parsed JSON key file of a Google service account."""

    def __init__(self, client: httpx.AsyncClient, account: Mapping[str, Any], url: str) -> None:
        """Raise `SettingError` if `account` is not the key file of a service account."""
        self._client = client
        try:
            self._key = RSAKey.import_key(account["private_key"])
            self._email, self._token_url = account["client_email"], account["token_uri"]
            self._url = f"{url}/v1/projects/{account['project_id']}/messages:send"
        except (KeyError, TypeError, ValueError, JoseError):
            raise SettingError("MINGCHA_FCM_ACCOUNT must name the JSON key file of a service account.") from None
        self._bearer: _Bearer | None = None
        self._renewing = anyio.Lock()

    async def wake(self, token: str) -> WakeOutcome:
        message = {
            "token": token,
            "data": {"kind": KIND},
            "android": {"collapse_key": KIND, "priority": "HIGH", "ttl": f"{EXPIRES_SECONDS}s"},
        }
        try:
            bearer = await self._bearer_token()
            response = await self._client.post(
                self._url, json={"message": message}, headers={"Authorization": f"Bearer {bearer}"}
            )
        except (httpx.HTTPError, _RetryLaterError):
            return WakeOutcome.LATER
        return self._outcome_of(response)

    def _outcome_of(self, response: httpx.Response) -> WakeOutcome:
        if response.is_success:
            return WakeOutcome.SENT
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._bearer = None
            return WakeOutcome.LATER
        error = _json_of(response).get("error", {})
        details = error.get("details", []) if isinstance(error, dict) else []
        codes = {detail.get("errorCode") for detail in details if isinstance(detail, dict)}
        # Only FCM's own error codes are evaluated. Otherwise a proxy's 404 would delete the tokens of all devices.
        if not codes.isdisjoint({"UNREGISTERED", "SENDER_ID_MISMATCH"}):
            return WakeOutcome.UNREGISTERED
        return _later_or_refused(response)

    async def _bearer_token(self) -> str:
        async with self._renewing:  # only one of many concurrent calls requests a token
            now = time.time()
            if self._bearer is None or self._bearer.good_until <= now:
                self._bearer = await self._request_token(now)
            return self._bearer.text

    async def _request_token(self, now: float) -> _Bearer:
        claims = {
            "iss": self._email,
            "scope": FCM_SCOPE,
            "aud": self._token_url,
            "iat": int(now),
            "exp": int(now) + 3600,
        }
        assertion = jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, self._key)
        response = await self._client.post(self._token_url, data={"grant_type": GRANT, "assertion": assertion})
        body = _json_of(response)
        token, seconds = body.get("access_token"), body.get("expires_in", 0)
        if not (response.is_success and isinstance(token, str) and isinstance(seconds, int | float)):
            raise _RetryLaterError
        return _Bearer(token, now + seconds - EARLY_SECONDS)


class Apns:
    """Apple Push Notification service, authenticated by a provider token.

    `key` is the text of the .p8 key file. `topic` is the app's bundle id.
    """

    def __init__(self, client: httpx.AsyncClient, *, key: str, key_id: str, team_id: str, topic: str, url: str) -> None:
        """Raise `SettingError` if `key` is not a key for APNs."""
        self._client = client
        try:
            self._key = ECKey.import_key(key)
        except (ValueError, TypeError, JoseError):
            raise SettingError("MINGCHA_APNS_KEY must name the .p8 file of a key for APNs.") from None
        self._key_id, self._team_id, self._topic, self._url = key_id, team_id, topic, url
        self._bearer: _Bearer | None = None

    async def wake(self, token: str) -> WakeOutcome:
        headers = {
            "authorization": f"bearer {self._bearer_token()}",
            "apns-topic": self._topic,
            "apns-push-type": "background",  # the phone shows nothing
            "apns-priority": "5",
            "apns-collapse-id": KIND,
            "apns-expiration": str(int(time.time()) + EXPIRES_SECONDS),
        }
        body = {"aps": {"content-available": 1}, "kind": KIND}
        try:
            response = await self._client.post(f"{self._url}/3/device/{token}", json=body, headers=headers)
        except httpx.HTTPError:
            return WakeOutcome.LATER
        if response.is_success:
            return WakeOutcome.SENT
        reason = _json_of(response).get("reason")
        if response.status_code == httpx.codes.GONE or reason in STALE_TOKENS:
            return WakeOutcome.UNREGISTERED
        if reason in {"ExpiredProviderToken", "InvalidProviderToken"}:
            self._bearer = None
            return WakeOutcome.LATER
        return _later_or_refused(response)

    def _bearer_token(self) -> str:
        now = time.time()
        if self._bearer is None or self._bearer.good_until <= now:
            header = {"alg": "ES256", "kid": self._key_id}
            text = jwt.encode(header, {"iss": self._team_id, "iat": int(now)}, self._key)
            self._bearer = _Bearer(text, now + APNS_TOKEN_SECONDS)
        return self._bearer.text


class _RetryLaterError(Exception):
    """Raised if Google issues no access token now."""


def push_client() -> httpx.AsyncClient:
    """Make an HTTP/2 client, because APNs accepts nothing else."""
    return open_client(http2=True, timeout=CALL_SECONDS, follow_redirects=False)


def build_gateways(settings: Settings, client: httpx.AsyncClient) -> dict[PushService, PushGateway]:
    """Build a gateway for each push service in the settings. There may be none.

    Raise `SettingError` if a setting is missing or wrong.
    """
    gateways: dict[PushService, PushGateway] = {}
    if settings.fcm_account:
        try:
            account = json.loads(_read_text(settings.fcm_account, "MINGCHA_FCM_ACCOUNT"))
        except ValueError:
            account = None
        gateways[PushService.FCM] = Fcm(client, account, settings.fcm_url)
    named = (settings.apns_key_id, settings.apns_team_id, settings.apns_topic)
    if settings.apns_key or any(named):
        key_id, team_id, topic = named
        if not (settings.apns_key and key_id and team_id and topic):
            raise SettingError(
                "MINGCHA_APNS_KEY, MINGCHA_APNS_KEY_ID, MINGCHA_APNS_TEAM_ID and MINGCHA_APNS_TOPIC go together: set"
                " all four."
            )
        key = _read_text(settings.apns_key, "MINGCHA_APNS_KEY")
        url = settings.apns_url
        gateways[PushService.APNS] = Apns(client, key=key, key_id=key_id, team_id=team_id, topic=topic, url=url)
    return gateways


def _read_text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SettingError(f"{name} names a file that can't be read.") from None


def _json_of(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _later_or_refused(response: httpx.Response) -> WakeOutcome:
    is_temporary = response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error
    return WakeOutcome.LATER if is_temporary else WakeOutcome.REFUSED
