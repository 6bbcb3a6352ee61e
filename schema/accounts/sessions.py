"""Define how a person signs in, renews a session and signs out (登录), and how a refresh token is made."""

import base64
import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass
from dataclasses import field as part
from datetime import datetime

import strawberry

from schema.access.permissions import ADMINS, PUBLIC, SEEN, SIGNED_IN, Row
from schema.accounts.device_clocks import DeviceClockInput
from schema.accounts.users import Device, User
from schema.core.refusals import Refusal, RefusalCode
from schema.core.texts import check_length, check_text

MAX_USER_NAME = 100
MIN_PASSWORD, MAX_PASSWORD = 8, 1_000
MAX_DEVICE_NAME = 80
MAX_REFRESH_TOKEN = 200
SECRET_BYTES, TAG_BYTES = 32, 16
_SESSION_ID = re.compile(r"ses_[0-9a-f-]{36}")


@strawberry.input(description="The person who signs in, and the device that the person uses.")
class SignInInput:
    user_name: str = strawberry.field(
        description="The user name (用户名). Upper and lower case are equal, and so are full-width and half-width"
        " characters."
    )
    password: str = strawberry.field(description="The password (密码).")
    device_id: strawberry.ID = strawberry.field(
        description="The device's id: dev_ and a UUIDv7. The device makes the id once, and sends the id to no other"
        " server."
    )
    device_name: str = strawberry.field(description="The owner's name for the device, 1 to 80 characters.")
    device_clock: DeviceClockInput | None = strawberry.field(
        description="The time on the device's clock (设备时钟).", default=None
    )

    def __repr__(self) -> str:
        return "SignInInput(...)"


@strawberry.input(description="A refresh token, and the device that holds it.")
class RefreshSessionInput:
    refresh_token: str = strawberry.field(description="The newest refresh token that the device has received.")
    device_id: strawberry.ID = strawberry.field(description="Id of the device that signed in.")
    device_clock: DeviceClockInput | None = strawberry.field(
        description="The time on the device's clock (设备时钟).", default=None
    )

    def __repr__(self) -> str:
        return "RefreshSessionInput(...)"


@strawberry.input(description="One of the viewer's own devices, to be signed out for good.")
class RevokeDeviceInput:
    device_id: strawberry.ID = strawberry.field(description="Id of one of the devices in `me.devices`.")
    wipe: bool = strawberry.field(
        description="If true, the device must also erase the data that it keeps for this account (远程清除). The device "
        "erases the data when it next renews its session. Work that the device has not sent by then is lost. A later "
        "sign-in on the device cancels the order.",
        default=False,
    )


@strawberry.input(
    description="The person whose devices are all signed out for good. Each device must also erase the data that it"
    " keeps for that person (远程清除)."
)
class WipeDevicesInput:
    user_id: strawberry.ID = strawberry.field(
        description="Id of a person who works, or used to work, in the viewer's scope (用户)."
    )


@strawberry.input(description="A change of the viewer's own password (修改密码).")
class ChangePasswordInput:
    current_password: str = strawberry.field(description="The current password (原密码).")
    new_password: str = strawberry.field(description="The new password, 8 to 1,000 characters (新密码).")

    def __repr__(self) -> str:
        return "ChangePasswordInput(...)"


@strawberry.type(description="The tokens of a session, for the device to store (登录凭证).")
class SignedIn:
    access_token: str = strawberry.field(
        description="The access token. Send it as `Authorization: Bearer ...` with all requests except `signIn` and"
        " `refreshSession`."
    )
    access_expires_at: datetime = strawberry.field(
        description="When the access token expires. Renew the session shortly before that."
    )
    refresh_token: str = strawberry.field(
        description="The newest refresh token. It is valid for one `refreshSession`, which returns the next refresh"
        " token. Store the refresh token before you use the access token."
    )
    refresh_expires_at: datetime = strawberry.field(
        description="When the refresh token expires. After that, the person must sign in again."
    )
    user: User = strawberry.field(description="The signed-in person.")
    device_secret: str | None = strawberry.field(
        description="A secret of 32 bytes, in base64url (设备密钥). It is always the same for this person on this device."
        " A phone can open its encrypted store with this secret or with the password. So if the password is reset,"
        " signing in with the new password opens the store again.",
        default=None,
    )

    def __repr__(self) -> str:
        return "SignedIn(...)"


@strawberry.type(description="This device's session has ended (已退出).")
class SignedOut:
    device_id: strawberry.ID = strawberry.field(description="Id of the device.")


@strawberry.type(description="The password is changed, and every other device is signed out (密码已修改).")
class ChangePasswordPayload:
    devices: list[Device] = strawberry.field(description="The viewer's devices after the change, newest first.")


@strawberry.type(description="The device is signed out for good (已注销设备).")
class RevokeDevicePayload:
    device: Device = strawberry.field(description="The device after the change.")


@strawberry.type(
    description="Every device of the person is signed out. Each device erases the person's data when it next connects"
    " (已发出清除指令)."
)
class WipeDevicesPayload:
    user: User = strawberry.field(description="The person.")
    devices: int = strawberry.field(description="Number of devices that must erase their data (设备数).")
    last_seen_at: datetime | None = strawberry.field(
        description="The latest time at which any of these devices renewed its session. Work that was recorded on the"
        " devices after that time and was not sent is lost. Null if the person has no devices.",
        default=None,
    )


def device_secret(user_id: str, device_id: str, secret: bytes) -> str:
    """Return the secret with which a phone protects its store.

    The secret is always the same for this person on this device. Only this server can compute the secret.
    """
    return _letters(_device_key(user_id, device_id, secret))


def wipe_proof(user_id: str, device_id: str, refresh_token: str, secret: bytes) -> str:
    """Return the proof that an order to erase comes from the server: an HMAC-SHA256, in hexadecimal.

    The proof is valid only for the device that sent `refresh_token`.
    """
    return hmac.digest(_device_key(user_id, device_id, secret), b"wipe " + refresh_token.encode(), "sha256").hex()


def _device_key(user_id: str, device_id: str, secret: bytes) -> bytes:
    return hmac.digest(secret, f"{user_id} {device_id}".encode(), "sha256")


def normalize_user_name(text: str) -> str:
    """Return the form of a user name that is stored and compared.

    Different spellings become equal, because phones capitalise first letters and Chinese keyboards type full-width
    digits.
    """
    return unicodedata.normalize("NFKC", text).strip().casefold()


def check_sign_in(input: SignInInput) -> None:
    """Raise `Refusal(BAD_INPUT)` if a text is empty or too long. The device's id is not checked here."""
    for value, max_length, field in (
        (input.user_name, MAX_USER_NAME, "userName"),
        (input.password, MAX_PASSWORD, "password"),
        (input.device_name, MAX_DEVICE_NAME, "deviceName"),
    ):
        check_text(value, max_length, field)
        check_length(value, max_length, field)


def check_password_change(input: ChangePasswordInput) -> None:
    """Raise `Refusal(BAD_INPUT)` if a password is too short, too long or blank.

    Raise it also if the new password equals the current password.
    """
    if not 1 <= len(input.current_password) <= MAX_PASSWORD:
        raise Refusal(RefusalCode.BAD_INPUT, f"Between 1 and {MAX_PASSWORD} characters.", field="currentPassword")
    if not MIN_PASSWORD <= len(input.new_password) <= MAX_PASSWORD or not input.new_password.strip():
        raise Refusal(
            RefusalCode.BAD_INPUT, f"Between {MIN_PASSWORD} and {MAX_PASSWORD} characters.", field="newPassword"
        )
    if input.new_password == input.current_password:
        raise Refusal(RefusalCode.BAD_INPUT, "The new password must differ from the current one.", field="newPassword")


@dataclass(frozen=True)
class RefreshToken:
    """A refresh token. The device stores `text`, and the server stores only `digest`, the SHA-256 of `text`."""

    session_id: str
    text: str = part(repr=False)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def compose_refresh_token(session_id: str, randomness: bytes, secret: bytes) -> RefreshToken:
    """Return a refresh token: the session's id, 32 random bytes, and a tag made with the server's `secret`.

    The tag proves that the server issued the token. If an old token is used again, the session ends. An invented token
    must not end a session. With the tag, the server tells both apart without a list of all old tokens.
    """
    tag = hmac.digest(secret, session_id.encode() + b"." + randomness, "sha256")[:TAG_BYTES]
    return RefreshToken(session_id, f"{session_id}.{_letters(randomness)}.{_letters(tag)}")


def read_refresh_token(text: str, secret: bytes) -> RefreshToken:
    """Parse a refresh token and verify its tag. Raise `Refusal(SESSION_ENDED)` if the server never issued the token."""
    session_id, _, rest = text.partition(".")
    letters = rest.partition(".")[0]
    if len(text) > MAX_REFRESH_TOKEN or not text.isascii() or not _SESSION_ID.fullmatch(session_id):
        raise Refusal(RefusalCode.SESSION_ENDED)
    try:
        randomness = base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))
    except ValueError:
        raise Refusal(RefusalCode.SESSION_ENDED) from None
    expected = compose_refresh_token(session_id, randomness, secret)
    if not hmac.compare_digest(expected.text, text):
        raise Refusal(RefusalCode.SESSION_ENDED)
    return expected


def _letters(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


PERMITS: tuple[Row, ...] = (
    ("Mutation", PUBLIC, "signIn refreshSession"),
    ("Mutation", SIGNED_IN, "signOut changePassword"),
    ("Mutation", SIGNED_IN, "revokeDevice"),
    ("Mutation", ADMINS, "wipeDevices"),
    ("ChangePasswordPayload", SEEN, "devices"),
    ("RevokeDevicePayload", SEEN, "device"),
    ("SignedIn", SEEN, "accessToken accessExpiresAt refreshToken refreshExpiresAt user deviceSecret"),
    ("SignedOut", SEEN, "deviceId"),
    ("WipeDevicesPayload", SEEN, "user devices lastSeenAt"),
)
