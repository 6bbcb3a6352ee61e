"""Define refusals: the exception that operations raise, the type that clients get, and the catalogue of codes."""

import enum
from dataclasses import dataclass

import strawberry


@strawberry.enum(description="What the caller's queue should do with the refused operation.")
class NextStep(enum.Enum):
    RETRY_LATER = "RETRY_LATER"
    FIX_AND_RESEND = "FIX_AND_RESEND"
    DISCARD = "DISCARD"
    SIGN_IN_AGAIN = "SIGN_IN_AGAIN"


@strawberry.enum(description="The reason for a refusal. Codes are never renamed or reused.")
class RefusalCode(enum.Enum):
    BAD_INPUT = "BAD_INPUT"
    BAD_ID = "BAD_ID"
    BAD_CURSOR = "BAD_CURSOR"
    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    OUT_OF_SCOPE = "OUT_OF_SCOPE"
    CONFLICT = "CONFLICT"
    WRONG_STATE = "WRONG_STATE"
    OUTDATED = "OUTDATED"
    OWN_WORK = "OWN_WORK"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    NOT_ARRIVED = "NOT_ARRIVED"
    UNKNOWN_DOCUMENT = "UNKNOWN_DOCUMENT"
    LEVEL_TOO_OLD = "LEVEL_TOO_OLD"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    BAD_CREDENTIALS = "BAD_CREDENTIALS"
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"
    SESSION_ENDED = "SESSION_ENDED"
    SIGN_IN_TOO_OLD = "SIGN_IN_TOO_OLD"
    DEVICE_WIPED = "DEVICE_WIPED"
    BUSY = "BUSY"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True)
class RefusalText:
    """The default messages of a refusal code in English and Chinese, and its default next step."""

    message: str
    message_zh: str
    next_step: NextStep


CATALOGUE: dict[RefusalCode, RefusalText] = {
    RefusalCode.BAD_INPUT: RefusalText("A value is not valid.", "填写的内容不符合要求。", NextStep.FIX_AND_RESEND),
    RefusalCode.BAD_ID: RefusalText("An id is malformed.", "编号格式不正确。", NextStep.FIX_AND_RESEND),
    RefusalCode.BAD_CURSOR: RefusalText(
        "This cursor belongs to another list. Start again without it.",
        "翻页位置与当前查询不符，请从头查询。",
        NextStep.FIX_AND_RESEND,
    ),
    RefusalCode.CURSOR_EXPIRED: RefusalText(
        "The server can no longer continue from this cursor. Sync again without it. Unsent work stays on the phone.",
        "同步位置已失效，请重新全量同步；手机上未提交的内容不会丢失。",
        NextStep.FIX_AND_RESEND,
    ),
    RefusalCode.NOT_FOUND: RefusalText(
        "There is no such record, or you may not see it.", "没有这条记录，或您无权查看。", NextStep.DISCARD
    ),
    RefusalCode.FORBIDDEN: RefusalText("Your role may not do this.", "您的角色不能进行此操作。", NextStep.DISCARD),
    RefusalCode.OUT_OF_SCOPE: RefusalText("This is outside your scope.", "超出您的管辖范围。", NextStep.DISCARD),
    RefusalCode.CONFLICT: RefusalText(
        "This id is already used for something else. Nothing was overwritten. What you sent is stored separately.",
        "该编号已用于其他内容；原记录未被覆盖，新内容已另行保存。",
        NextStep.DISCARD,
    ),
    RefusalCode.WRONG_STATE: RefusalText(
        "The record's current state does not allow this.", "记录当前状态不允许此操作。", NextStep.DISCARD
    ),
    RefusalCode.OUTDATED: RefusalText(
        "The record has changed since you read it. Read it again, then decide.",
        "记录在您查看之后已有变化，请重新查看后再操作。",
        NextStep.FIX_AND_RESEND,
    ),
    RefusalCode.OWN_WORK: RefusalText("A second person must do this.", "须由经办人以外的人员复核。", NextStep.DISCARD),
    RefusalCode.LIMIT_EXCEEDED: RefusalText(
        "This exceeds the limit for one request.", "超出单次请求的上限。", NextStep.FIX_AND_RESEND
    ),
    RefusalCode.NOT_ARRIVED: RefusalText(
        "The file has not been uploaded yet. Upload it, then confirm again.",
        "文件尚未上传完成，请上传后再确认。",
        NextStep.RETRY_LATER,
    ),
    # The phone must not drop the unsent work: another release of the app or of the server will know the document.
    RefusalCode.UNKNOWN_DOCUMENT: RefusalText(
        "The server does not know this document. Update the app. Unsent work stays on the phone.",
        "服务器不识别此请求，请更新应用；手机上未提交的内容不会丢失。",
        NextStep.RETRY_LATER,
    ),
    RefusalCode.LEVEL_TOO_OLD: RefusalText(
        "This version of the app is no longer supported. Update it. Unsent work can still be sent.",
        "当前应用版本已停止支持，请更新；手机上未提交的内容仍可提交。",
        NextStep.RETRY_LATER,
    ),
    RefusalCode.UNAUTHENTICATED: RefusalText("Sign in first.", "请先登录。", NextStep.SIGN_IN_AGAIN),
    RefusalCode.BAD_CREDENTIALS: RefusalText(
        "The user name or the password is wrong.", "用户名或密码不正确。", NextStep.FIX_AND_RESEND
    ),
    RefusalCode.TOO_MANY_ATTEMPTS: RefusalText(
        "Too many failed attempts. Wait, then try again.",
        "尝试次数过多，请稍后再试。",
        NextStep.RETRY_LATER,
    ),
    RefusalCode.SESSION_ENDED: RefusalText(
        "This session has ended. Sign in again. Unsent work stays on the phone.",
        "登录已失效，请重新登录；手机上未提交的内容不会丢失。",
        NextStep.SIGN_IN_AGAIN,
    ),
    RefusalCode.SIGN_IN_TOO_OLD: RefusalText(
        "This step can't be undone. Sign in again, then repeat it within 15 minutes.",
        "此操作不可撤销，请重新登录，并在15分钟内再次提交。",
        NextStep.SIGN_IN_AGAIN,
    ),
    # A phone that does not know this code asks for the password and erases nothing.
    RefusalCode.DEVICE_WIPED: RefusalText(
        "This device was signed out for good. Its data of this account must be erased.",
        "此设备已被注销，设备上该账户的内容须清除。",
        NextStep.SIGN_IN_AGAIN,
    ),
    RefusalCode.BUSY: RefusalText(
        "The server is busy. Try again shortly.", "服务器繁忙，请稍后再试。", NextStep.RETRY_LATER
    ),
    RefusalCode.UNAVAILABLE: RefusalText(
        "A part of the service is down. Nothing was lost. Try again later.",
        "服务暂时不可用，数据没有丢失，请稍后再试。",
        NextStep.RETRY_LATER,
    ),
    RefusalCode.INTERNAL: RefusalText(
        "The server failed on this item only. Send it again later.",
        "系统处理此项时出错，请稍后再试；其他各项不受影响。",
        NextStep.RETRY_LATER,
    ),
}


class Refusal(Exception):  # noqa: N818  a refusal is the domain's word; it is no error of the program
    """An operation was refused and changed nothing.

    `detail` says what is wrong in this case. It replaces the code's default message in English.
    `field` is the path of the wrong input value, such as `drafts.3.capturedAt`.
    `next_step` replaces the code's default next step, for example if a phone would drop unsent work by that default.
    `proof` is set with DEVICE_WIPED only. It proves that the order to erase comes from the server.
    `retry_after_seconds` is set if it is known when the same request can succeed.
    No argument may contain an identity, a secret, or an error text of the database driver.
    """

    def __init__(
        self,
        code: RefusalCode,
        detail: str | None = None,
        *,
        field: str | None = None,
        next_step: NextStep | None = None,
        proof: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail or CATALOGUE[code].message)
        self.retry_after_seconds = retry_after_seconds
        self.code = code
        self.field = field
        self.proof = proof
        self.next_step = next_step or CATALOGUE[code].next_step

    @property
    def message(self) -> str:
        return str(self)

    @property
    def message_zh(self) -> str:
        return CATALOGUE[self.code].message_zh


@strawberry.type(description="The operation was refused and changed nothing (未受理).")
class Refused:
    code: RefusalCode = strawberry.field(description="The reason for the refusal.")
    message: str = strawberry.field(description="Message for people, in English.")
    message_zh: str = strawberry.field(description="Message for people, in Chinese (中文说明).")
    next_step: NextStep = strawberry.field(description="What the caller's queue should do with the refused operation.")
    field: str | None = strawberry.field(
        description="Path of the wrong input value, such as `drafts.3.capturedAt`. Null if no single value is wrong.",
        default=None,
    )
    proof: str | None = strawberry.field(
        description="Proof that the order to erase comes from the server (清除指令的证明). Null except with `DEVICE_WIPED` in "
        "the answer to a device that sent its refresh token. The proof is the HMAC-SHA256 (hexadecimal) of the text "
        "`wipe ` followed by that refresh token. The key is the 32 bytes of the device's `deviceSecret`. A device must "
        "not erase anything without this proof.",
        default=None,
    )

    retry_after_seconds: int | None = strawberry.field(
        description="How many seconds to wait before the request is sent again (重试前等待秒数). Null if no time is known. "
        "Then follow `nextStep` alone.",
        default=None,
    )

    @classmethod
    def of(cls, refusal: Refusal) -> "Refused":
        return cls(
            code=refusal.code,
            message=refusal.message,
            message_zh=refusal.message_zh,
            next_step=refusal.next_step,
            field=refusal.field,
            proof=refusal.proof,
            retry_after_seconds=refusal.retry_after_seconds,
        )
