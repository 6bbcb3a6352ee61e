"""Map states, categories, answers, note fields and next steps to the words that users see on the terminal."""

from collections.abc import Mapping

STATES: Mapping[str, tuple[str, str]] = {
    "QUEUED": ("queued 待提交", "yellow"),
    "ACCEPTED": ("received 已接收", "green"),
    "WAITING": ("queued 待上传", "yellow"),
    "SENDING": ("uploading 上传中", "yellow"),
    "SENT": ("uploaded 已上传", "cyan"),
    "CONFIRMED": ("confirmed 已确认", "cyan"),
    "READY": ("verified 已核验", "green"),
    "REFUSED": ("refused 被退回", "red"),
    "BROKEN": ("damaged 文件损坏", "red"),
    "EXPECTED": ("expected 待上传", "yellow"),
    "UPLOADED": ("arrived 待核验", "cyan"),
    "REJECTED": ("rejected 不符", "red"),
    "OFFERED": ("offered 待签收", "yellow"),
    "FINISHED": ("finished 已完成", "green"),
    "HANDED_ON": ("handed on 已转办", "dim"),
    "WITHDRAWN": ("withdrawn 已撤回", "dim"),
}
"""The shown words and the colour of each state."""

CATEGORIES: Mapping[str, str] = {
    "ABSENCE": "违反上下班纪律",
    "GAMES": "上网玩游戏",
    "STOCK_TRADING": "炒股",
    "CHATTING": "串岗聊天",
    "INACTION": "不作为",
    "MISCONDUCT": "乱作为",
    "SLOW": "办事效率低",
    "RUDE": "服务态度差",
    "SOLICITING": "吃拿卡要",
    "ARBITRARY_FEES": "乱收费",
    "ARBITRARY_FINES": "乱罚款",
    "ARBITRARY_INSPECTION": "乱检查",
    "FORCED_CONTRIBUTIONS": "乱摊派",
    "BROKEN_PROMISE": "失信失诺",
    "WITHHELD_FUNDS": "资金滞留",
    "GOOD_PRACTICE": "先进典型",
    "OTHER": "其他",
}

ANSWERS: Mapping[str, str] = {"ACCEPT": "accepted 签收", "FINISH": "done 办结"}

NOTES: Mapping[str, str] = {
    "WORKING_NOTE": "working note 工作备注",
    "PLANNED_ON": "planned on 计划日期",
    "CONTACT": "contact 现场联系人",
}

NEXT_STEPS: Mapping[str, str] = {
    "RETRY_LATER": "the phone tries again 自动重试",
    "FIX_AND_RESEND": "correct it with `fix` 请修改后重发",
    "DISCARD": "it can't be sent; delete it with `discard` 无法提交",
    "SIGN_IN_AGAIN": "sign in again 请重新登录",
}


def size(count: int) -> str:
    """Format a number of bytes: 812 B, 45.3 kB, 3.9 MB."""
    if count < 1000:
        return f"{count} B"
    value, unit = float(count), "B"
    for unit in ("kB", "MB", "GB"):  # noqa: B007  the last one is used below
        value /= 1000
        if value < 999.95:
            break
    return f"{value:.1f} {unit}"
