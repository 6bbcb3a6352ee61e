"""Compare passwords, each as one attempt. Wrong passwords count, right ones never do."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from math import ceil

from api.accounts.passwords import PasswordVerdict
from api.graphql.context import Context
from schema.accounts.login_attempts import Bucket, buckets_of
from schema.accounts.users import User
from schema.core.refusals import Refusal, RefusalCode

RETRY_SECONDS = 1
"""When attempts that are compared at this moment have ended."""


def turn(context: Context, name: str) -> AbstractAsyncContextManager[None]:
    """Wait for the turn to compare passwords of this user name. Raise `Refusal(BUSY)` if too many wait."""
    return context.services.passwords.turns.turn(context.client_address, name)


async def compare(
    context: Context, name: str, user: User | None, device_id: str, password_hash: str | None, password: str
) -> PasswordVerdict:
    """Compare a password as one attempt on the user name. `user` is the person of that name, if there is one.

    Raise `Refusal(TOO_MANY_ATTEMPTS)` if too many attempts have failed. Raise `Refusal(BUSY)` if the password could not
    be compared; then nothing counts.
    """
    is_known = user is not None and any(device.id == device_id for device in user.devices)
    secret = context.keys.attempts_secret
    buckets = buckets_of(name, context.client_address, device_id if is_known else None, secret)
    await _begin(context, buckets)
    try:
        verdict = await context.services.passwords.verify(password_hash, password)
    except Refusal:
        await context.store.attempts.release(buckets)
        raise
    if verdict.is_right:
        await context.store.attempts.succeed(buckets)
    else:
        await context.store.attempts.fail(buckets)
    return verdict


async def _begin(context: Context, buckets: Sequence[Bucket]) -> None:
    denial = await context.store.attempts.begin(buckets, context.now)
    if denial is None:
        return
    if denial.opens_at is None:
        raise Refusal(
            RefusalCode.BUSY,
            f"Other attempts are being checked. Try again in {RETRY_SECONDS} second.",
            retry_after_seconds=RETRY_SECONDS,
        )
    seconds = ceil((denial.opens_at - context.now).total_seconds())
    raise Refusal(
        RefusalCode.TOO_MANY_ATTEMPTS,
        f"Too many failed attempts. Try again in {ceil(seconds / 60)} minutes.",
        retry_after_seconds=seconds,
    )
