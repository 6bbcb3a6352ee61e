"""Sign in with a password (登录), renew a session with a refresh token, sign out, and change the password."""

import secrets
from datetime import datetime, timedelta
from typing import Annotated

import strawberry
import structlog

from api.accounts.access_tokens import AccessTokens, Bearer
from api.accounts.device_clocks import record_clock
from api.accounts.devices import revoke
from api.accounts.login_attempts import compare, turn
from api.graphql.context import Context, Info
from api.registration import Registration
from api.telemetry import tracing
from schema.access.guards import mutation
from schema.accounts import sessions
from schema.accounts.sessions import (
    SECRET_BYTES,
    ChangePasswordInput,
    ChangePasswordPayload,
    RefreshSessionInput,
    RefreshToken,
    SignedIn,
    SignedOut,
    SignInInput,
    check_password_change,
    check_sign_in,
    compose_refresh_token,
    device_secret,
    normalize_user_name,
    read_refresh_token,
    wipe_proof,
)
from schema.accounts.users import Device, User
from schema.core.ids import validate_id
from schema.core.refusals import Refusal, RefusalCode, Refused
from storage.accounts.sessions import RefreshOutcome, RefreshResult

log = structlog.get_logger(__name__)


async def sign_in(context: Context, input: SignInInput) -> SignedIn:
    """Begin a session.

    Raise `Refusal(BAD_CREDENTIALS | TOO_MANY_ATTEMPTS | BUSY | BAD_INPUT | BAD_ID | FORBIDDEN)`.
    An unknown user name, a wrong password and a closed account get the same answer after the same time.
    """
    _refuse_if_oidc(context)
    device_id = validate_id(input.device_id, "dev", field="deviceId")
    check_sign_in(input)
    user = await _verify_credentials(context, input, device_id)
    session_id = context.new_id("ses")
    token = _new_token(context, session_id)
    expires_at = _refresh_expiry(context)
    # The session becomes valid when the user's document names it, so the user's document is written last.
    await context.store.sessions.begin(token, user.id, device_id, context.now, expires_at)
    device = Device(
        id=strawberry.ID(device_id), name=input.device_name.strip(), signed_in_at=context.now, seen_at=context.now
    )
    admitted = await context.store.users.add_device(user.id, device, session_id)
    if admitted is None:
        raise Refusal(RefusalCode.BAD_CREDENTIALS)
    await record_clock(context, input.device_clock, user.id, device_id)
    return _issue_tokens(context, admitted, device_id, token, expires_at)


async def refresh_session(context: Context, input: RefreshSessionInput) -> SignedIn:
    """Exchange a refresh token for new tokens.

    A token may be sent again within the grace period, because a reply can get lost. If the token is used after that,
    somebody has a copy, and the session ends. Raise `Refusal(SESSION_ENDED)` if the token is not valid or no longer
    valid, `Refusal(DEVICE_WIPED)` if the device must erase its data.
    """
    _refuse_if_oidc(context)
    device_id = validate_id(input.device_id, "dev", field="deviceId")
    shown = read_refresh_token(input.refresh_token, context.keys.refresh_secret)
    successor = _new_token(context, shown.session_id)
    expires_at = _refresh_expiry(context)
    grace = timedelta(seconds=context.settings.refresh_grace_seconds)
    used = await context.store.sessions.use(
        shown, device_id, successor, context.now, grace=grace, expires_at=expires_at
    )
    if used.user_id is None:
        raise Refusal(RefusalCode.SESSION_ENDED)
    if used.use is not RefreshOutcome.ROTATED:
        if used.use is RefreshOutcome.REUSED:
            log.warning("A refresh token was used again; its session has ended.")
        # Do this even if the session ended earlier: the request that ended it may have failed before this step.
        await context.store.users.revoke_session(used.user_id, shown.session_id, context.now)
        raise await _session_refusal(context, used, device_id, input.refresh_token)
    user = await context.store.users.touch_device(used.user_id, device_id, shown.session_id, context.now)
    if user is None:
        raise await _session_refusal(context, used, device_id, input.refresh_token)
    await record_clock(context, input.device_clock, user.id, device_id)
    return _issue_tokens(context, user, device_id, successor, expires_at)


async def _session_refusal(context: Context, used: RefreshResult, device_id: str, refresh_token: str) -> Refusal:
    """Return DEVICE_WIPED with a proof if this device must erase its data, otherwise SESSION_ENDED."""
    user = await context.store.users.by_id(used.user_id) if used.user_id and used.device_id == device_id else None
    if user is None or not await _must_wipe(context, user, used, device_id):
        return Refusal(RefusalCode.SESSION_ENDED)
    proof = wipe_proof(user.id, device_id, refresh_token, context.keys.devices_secret)
    return Refusal(RefusalCode.DEVICE_WIPED, proof=proof)


async def _must_wipe(context: Context, user: User, used: RefreshResult, device_id: str) -> bool:
    """Whether the device must erase the user's data. A sign-in on the device takes an order back.

    The user's document lists the newest devices. Of any other device, only its families of tokens know.
    """
    device = next((device for device in user.devices if device.id == device_id), None)
    if device is not None:
        return device.wipe_ordered_at is not None
    ordered_at = used.wipe_ordered_at
    return ordered_at is not None and not await context.store.sessions.has_begun_since(user.id, device_id, ordered_at)


async def sign_out(context: Context) -> SignedOut:
    """End the session of this request. The access token of the request is refused from now on."""
    device = await revoke(context, _own_device_id(context))
    return SignedOut(device_id=device.id)


async def change_password(context: Context, input: ChangePasswordInput) -> ChangePasswordPayload:
    """Change the password, and sign out every other device. A retry after a lost reply succeeds, too.

    Raise `Refusal(BAD_CREDENTIALS | TOO_MANY_ATTEMPTS | BUSY | BAD_INPUT | FORBIDDEN)`.
    """
    _refuse_if_oidc(context)
    device_id = _own_device_id(context)
    check_password_change(input)
    user = await context.store.users.by_id(context.actor.user_id)
    if user is None or user.password_hash is None:
        raise Refusal(RefusalCode.BAD_CREDENTIALS)
    async with turn(context, user.user_name):
        await _check_current_password(context, user, device_id, user.password_hash, input)
        new_hash = await context.services.passwords.hash(input.new_password)
    changed = await context.store.users.change_password(user.id, user.password_hash, new_hash, device_id, context.now)
    if changed is None:
        raise Refusal(RefusalCode.BUSY, "The password was changed elsewhere at the same moment. Try again.")
    others = [device.id for device in changed.devices if device.id != device_id]
    await context.store.sessions.end(user.id, others, context.now)
    await context.store.push_tokens.delete(user.id, others)
    return ChangePasswordPayload(devices=list(changed.devices))


async def _check_current_password(
    context: Context, user: User, device_id: str, known_hash: str, input: ChangePasswordInput
) -> None:
    """Raise `Refusal(BAD_CREDENTIALS)` unless the current password is right, or the change has been made already.

    A person with someone else's unlocked phone must not guess faster than at the sign-in. So each of the two passwords
    is an attempt of its own.
    """
    for password in (input.current_password, input.new_password):
        if (await compare(context, user.user_name, user, device_id, known_hash, password)).is_right:
            return
    raise Refusal(RefusalCode.BAD_CREDENTIALS, field="currentPassword")


async def _verify_credentials(context: Context, input: SignInInput, device_id: str) -> User:
    store, name = context.store, normalize_user_name(input.user_name)
    async with turn(context, name):
        user = await store.users.by_user_name(name)
        known_hash = user.password_hash if user is not None and user.active else None
        verdict = await compare(context, name, user, device_id, known_hash, input.password)
        if user is None or known_hash is None or not verdict.is_right:
            raise Refusal(RefusalCode.BAD_CREDENTIALS)
        if verdict.is_outdated:
            new_hash = await context.services.passwords.hash(input.password)
            await store.users.renew_password_hash(user.id, known_hash, new_hash)
    return user


def _own_device_id(context: Context) -> str:
    if context.actor.device_id is None:
        raise Refusal(RefusalCode.FORBIDDEN, "You signed in at your identity provider. Sign out there.")
    return context.actor.device_id


def _refuse_if_oidc(context: Context) -> None:
    if context.settings.oidc_issuer:
        raise Refusal(
            RefusalCode.FORBIDDEN, "Sign in at your identity provider. This server does not accept passwords."
        )


def _new_token(context: Context, session_id: str) -> RefreshToken:
    return compose_refresh_token(session_id, secrets.token_bytes(SECRET_BYTES), context.keys.refresh_secret)


def _refresh_expiry(context: Context) -> datetime:
    return context.now + timedelta(days=context.settings.refresh_token_days)


def _issue_tokens(context: Context, user: User, device_id: str, token: RefreshToken, expires_at: datetime) -> SignedIn:
    tokens = AccessTokens(context.keys, context.settings.access_token_seconds)
    tracing.current().is_secret = True
    access_token, access_expires_at = tokens.issue(Bearer(user.id, token.session_id, device_id), context.now)
    return SignedIn(
        access_token=access_token,
        access_expires_at=access_expires_at,
        refresh_token=token.text,
        refresh_expires_at=expires_at,
        user=user,
        device_secret=device_secret(user.id, device_id, context.keys.devices_secret),
    )


SignInResult = Annotated[
    SignedIn | Refused, strawberry.union("SignInResult", description="A new session, or the refusal.")
]
RefreshSessionResult = Annotated[
    SignedIn | Refused,
    strawberry.union("RefreshSessionResult", description="The renewed session, or the refusal."),
]
SignOutResult = Annotated[
    SignedOut | Refused, strawberry.union("SignOutResult", description="The ended session, or the refusal.")
]
ChangePasswordResult = Annotated[
    ChangePasswordPayload | Refused,
    strawberry.union("ChangePasswordResult", description="The viewer's devices after the change, or the refusal."),
]


@strawberry.type
class SessionMutations:
    @mutation(description="Sign in on a device with a password (登录). An earlier session on the device ends.")
    async def sign_in(self, info: Info, input: SignInInput) -> SignInResult:
        return await sign_in(info.context, input)

    @mutation(
        description="Exchange the refresh token for new tokens (续期). If the reply is lost, send the same token again soon."
    )
    async def refresh_session(self, info: Info, input: RefreshSessionInput) -> RefreshSessionResult:
        return await refresh_session(info.context, input)

    @mutation(description="End this device's session (退出). Unsent work stays on the phone.")
    async def sign_out(self, info: Info) -> SignOutResult:
        return await sign_out(info.context)

    @mutation(
        description="Change the password (修改密码). Every other device is signed out. This device stays signed in."
    )
    async def change_password(self, info: Info, input: ChangePasswordInput) -> ChangePasswordResult:
        return await change_password(info.context, input)


REGISTRATION = Registration(
    mutations=(SessionMutations,),
    permits=sessions.PERMITS,
)
