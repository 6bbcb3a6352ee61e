"""Sessions (登录): what is exchanged to sign in, to go on and to sign out, and what a refresh token is made of.

Families of refresh tokens are kept by `storage/accounts/sessions.py`; access tokens are the business of
`api/accounts/access_tokens.py`.
"""

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


@strawberry.input(description="Who signs in, and from which device.")
class SignInInput:
    user_name: str = strawberry.field(description="Upper or lower case, full or half width: all the same (用户名).")
    password: str = strawberry.field(description="The password (密码).")
    device_id: strawberry.ID = strawberry.field(
        description="dev_ and a UUIDv7, made once by the device and told to nobody but this server."
    )
    device_name: str = strawberry.field(description="What its owner will know it by, 1 to 80 characters.")
    device_clock: DeviceClockInput | None = strawberry.field(
        description="What the device's clock shows (设备时钟).", default=None
    )

    def __repr__(self) -> str:
        return "SignInInput(...)"


@strawberry.input(description="The refresh token in hand, and the device that holds it.")
class RefreshSessionInput:
    refresh_token: str = strawberry.field(description="The newest one received.")
    device_id: strawberry.ID = strawberry.field(description="The device that signed in.")
    device_clock: DeviceClockInput | None = strawberry.field(
        description="What the device's clock shows (设备时钟).", default=None
    )

    def __repr__(self) -> str:
        return "RefreshSessionInput(...)"


@strawberry.input(description="Which of one's own devices is signed out for good.")
class RevokeDeviceInput:
    device_id: strawberry.ID = strawberry.field(description="One of `me.devices`.")
    wipe: bool = strawberry.field(
        description="Also have the device erase what it keeps of this account (远程清除), once it asks to go on with its "
        "session. What it has not sent by then is lost. A later sign-in on it takes the order back.",
        default=False,
    )


@strawberry.input(
    description="Whose devices are signed out for good and erase what they keep of that person (远程清除)."
)
class WipeDevicesInput:
    user_id: strawberry.ID = strawberry.field(
        description="Somebody who works in one's scope, also after leaving (用户)."
    )


@strawberry.input(description="One's own password, from now on another one (修改密码).")
class ChangePasswordInput:
    current_password: str = strawberry.field(description="The one that holds now (原密码).")
    new_password: str = strawberry.field(description="8 to 1,000 characters (新密码).")

    def __repr__(self) -> str:
        return "ChangePasswordInput(...)"


@strawberry.type(description="A session, as its device keeps it (登录凭证).")
class SignedIn:
    access_token: str = strawberry.field(description="Sent as `Authorization: Bearer ...` with every other request.")
    access_expires_at: datetime = strawberry.field(description="From then on it is refused: renew shortly before.")
    refresh_token: str = strawberry.field(
        description="Good for one `refreshSession`, which gives the next one. Store it before using what came with it."
    )
    refresh_expires_at: datetime = strawberry.field(description="From then on only the password helps.")
    user: User = strawberry.field(description="Who is signed in.")
    device_secret: str | None = strawberry.field(
        description="32 bytes in base64url, always the same for this person on this device: a phone locks what it keeps with "
        "it beside the password, so that a password set anew opens it after a sign-in (设备密钥).",
        default=None,
    )

    def __repr__(self) -> str:
        return "SignedIn(...)"


@strawberry.type(description="This device's session has ended (已退出).")
class SignedOut:
    device_id: strawberry.ID = strawberry.field(description="The device.")


@strawberry.type(description="The new password holds; every other device has been signed out (密码已修改).")
class ChangePasswordPayload:
    devices: list[Device] = strawberry.field(description="One's devices as they stand now, newest first.")


@strawberry.type(description="The device can do nothing more in one's name (已注销设备).")
class RevokeDevicePayload:
    device: Device = strawberry.field(description="As it stands now.")


@strawberry.type(
    description="Every device of the person is signed out, and erases what it keeps when it next speaks (已发出清除指令)."
)
class WipeDevicesPayload:
    user: User = strawberry.field(description="The person.")
    devices: int = strawberry.field(description="How many devices were told to (设备数).")
    last_seen_at: datetime | None = strawberry.field(
        description="When the last of them renewed its session. What was recorded on them since, and not sent, is lost.",
        default=None,
    )


def device_secret(user_id: str, device_id: str, secret: bytes) -> str:
    """What a phone locks its store with: always the same for this person on this device, and made by this server alone."""
    return _letters(_device_key(user_id, device_id, secret))


def wipe_proof(user_id: str, device_id: str, refresh_token: str, secret: bytes) -> str:
    """Proves to the device that holds `refresh_token` that the order to erase is the server's."""
    return hmac.digest(_device_key(user_id, device_id, secret), b"wipe " + refresh_token.encode(), "sha256").hex()


def _device_key(user_id: str, device_id: str, secret: bytes) -> bytes:
    return hmac.digest(secret, f"{user_id} {device_id}".encode(), "sha256")


def normal_user_name(text: str) -> str:
    """A user name as it is stored and compared: phones capitalise first letters, and Chinese keyboards widen digits."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def check_sign_in(input: SignInInput) -> None:
    """Raise `Refusal(BAD_INPUT)` for a value that can't be one; the id of the device is left to `ids`."""
    for value, most, field in (
        (input.user_name, MAX_USER_NAME, "userName"),
        (input.password, MAX_PASSWORD, "password"),
        (input.device_name, MAX_DEVICE_NAME, "deviceName"),
    ):
        check_text(value, most, field)
        check_length(value, most, field)


def check_password_change(input: ChangePasswordInput) -> None:
    """Raise `Refusal(BAD_INPUT)` for a password that can't be one, or that is to become itself."""
    if not 1 <= len(input.current_password) <= MAX_PASSWORD:
        raise Refusal(RefusalCode.BAD_INPUT, f"Between 1 and {MAX_PASSWORD} characters.", field="currentPassword")
    if not MIN_PASSWORD <= len(input.new_password) <= MAX_PASSWORD or not input.new_password.strip():
        raise Refusal(
            RefusalCode.BAD_INPUT, f"Between {MIN_PASSWORD} and {MAX_PASSWORD} characters.", field="newPassword"
        )
    if input.new_password == input.current_password:
        raise Refusal(RefusalCode.BAD_INPUT, "It is the one that you have.", field="newPassword")


@dataclass(frozen=True)
class RefreshToken:
    """What a device holds is `text`; what is stored of it is `digest`, from which it can't be made again."""

    session_id: str
    text: str = part(repr=False)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def compose_refresh_token(session_id: str, randomness: bytes, secret: bytes) -> RefreshToken:
    """The token of `session_id` with these 32 random bytes, tagged with the server's `secret`.

    The tag shows that the server once gave this token out, so that an old one can be told from an invented one without
    a list of all old ones: inventions must not end anybody's session.
    """
    tag = hmac.digest(secret, session_id.encode() + b"." + randomness, "sha256")[:TAG_BYTES]
    return RefreshToken(session_id, f"{session_id}.{_letters(randomness)}.{_letters(tag)}")


def read_refresh_token(text: str, secret: bytes) -> RefreshToken:
    """A token that the server gave out at some time. Raise `Refusal(SESSION_ENDED)` for anything else."""
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
