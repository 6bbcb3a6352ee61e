"""Print tables and messages on the terminal."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mobile_contract.phone.cli.wording import ANSWERS, CATEGORIES, NEXT_STEPS, STATES, size
from mobile_contract.phone.errors import PhoneError
from mobile_contract.phone.outbox.items import Medium, OutboxObservation
from mobile_contract.phone.sync.queued_operations import QueuedOperation

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
_ANY_WIDTH = 10_000
_NAME_WIDTH = 16


def print_message(sentence: str, chinese: str = "") -> None:
    console.print(Text(sentence))
    if chinese:
        console.print(Text(chinese, style="dim"))


def print_error(fault: PhoneError) -> None:
    """Print an error's two messages on standard error."""
    errors.print(Text(fault.message, style="red"))
    if fault.message_zh:
        errors.print(Text(fault.message_zh, style="dim"))


def print_json(value: object) -> None:
    console.out(as_text(value), highlight=False)


def as_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def state(name: str) -> Text:
    words, style = STATES.get(name, (name.lower(), ""))
    return Text(words, style=style)


def new_table(*columns: str) -> Table:
    made = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column.strip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return made


def local_time(instant: str | None) -> str:
    """Format an instant by this machine's clock, to the minute."""
    return f"{datetime.fromisoformat(instant).astimezone():%Y-%m-%d %H:%M}" if instant else ""


def outbox(observations: Sequence[OutboxObservation], forgotten: int) -> None:
    """Print a line for each observation and each of its media, then the summary."""
    if observations:
        shown = new_table(">No. 序号", "seen 时间", "what 内容", "unit 单位", ">size 大小", "state 状态")
        for observation in observations:
            draft = observation.draft
            what = " ".join(filter(None, (CATEGORIES.get(draft["category"], draft["category"]), draft["text"][:40])))
            # The draft has the offset of its place, so this is the time that people there saw.
            seen = f"{datetime.fromisoformat(draft['capturedAt']):%Y-%m-%d %H:%M}"
            unit = draft.get("unit") or draft.get("monitoringPoint") or ""
            shown.add_row(str(observation.sequence), seen, Text(what), Text(unit), "", state(observation.state))
            for medium in observation.media:
                shown.add_row("", "", Text(f"└ {medium.name}"), "", size(medium.byte_size), _progress(medium))
        console.print(shown)
    summary(observations, forgotten)


def summary(observations: Sequence[OutboxObservation], forgotten: int) -> None:
    """Print the errors of each item, then the totals."""
    for observation in observations:
        _explain(observation)
    _sum_up(observations, forgotten)


def ratings(found: Sequence[QueuedOperation]) -> None:
    """Print a line for each stored rating, and its errors."""
    if not found:
        return
    shown = new_table("No. 序号", "month 月份", "unit 单位", ">score 分值", "state 状态")
    for operation in found:
        draft = operation.draft
        score = str(draft.get("score", draft.get("grade", "")))
        shown.add_row(operation.label, draft["month"][:7], Text(draft["unit"]), Text(score), state(operation.state))
    console.print(shown)
    explain_operations(found, "rate")


def answers(found: Sequence[QueuedOperation]) -> None:
    """Print a line for each stored answer to an assignment, and its errors."""
    if not found:
        return
    shown = new_table("No. 序号", "assignment 交办", "answer 回复", "state 状态")
    for operation in found:
        is_held = (operation.receipt or {}).get("outcome") == "HELD"
        word = Text("held 暂存", style="yellow") if is_held else state(operation.state)
        shown.add_row(operation.label, operation.draft["assignmentId"], ANSWERS[operation.draft["kind"]], word)
    console.print(shown)
    explain_operations(found, "answer")


def explain_operations(found: Sequence[QueuedOperation], again: str) -> None:
    """Print each operation's error, and how to delete it and `again` make it."""
    for operation in found:
        said = operation.refusal or operation.trouble
        if said:
            line = Text(f"{operation.label}: {said['message']} ", style="red" if operation.refusal else "yellow")
            line.append(said["messageZh"], style="dim")
            console.print(line)
            if operation.refusal:
                console.print(
                    Text(
                        f"  {said['code']}: delete it with `discard {operation.label}`, and {again} again", style="dim"
                    )
                )


def alarms(found: Sequence[tuple[str, str]]) -> None:
    for english, chinese in found:
        console.print(Text(f"{english} {chinese}", style="bold red"))


def print_age(as_of: str | None, pulled_at: str | None) -> None:
    """Print how old the shown data is."""
    if pulled_at is None:
        print_message(
            "Nothing has been pulled yet. Use `send`, or --now when online.", "尚未同步，请联网后使用 --now。"
        )
    else:
        console.print(Text(f"As of 数据截至 {local_time(as_of or pulled_at)}", style="dim"))


def _progress(medium: Medium) -> Text:
    text = state(medium.state)
    if medium.parts and medium.parts_arrived < medium.parts:
        text.append(f" {medium.parts_arrived}/{medium.parts}")
    return text


def _explain(observation: OutboxObservation) -> None:
    items: list[tuple[str, OutboxObservation | Medium]] = [(f"No. {observation.sequence}", observation)]
    items += [(f"No. {observation.sequence}, {medium.name}", medium) for medium in observation.media]
    for name, item in items:
        said = item.refusal or item.trouble
        if said is None:
            continue
        field = f" ({said['field']})" if said.get("field") else ""
        line = Text(f"{name}: {said['message']}{field} ", style="red" if item.refusal else "yellow")
        line.append(said["messageZh"], style="dim")
        console.print(line)
        if item.refusal:
            step = NEXT_STEPS.get(said["nextStep"], said["nextStep"])
            console.print(Text(f"  {said['code']}: {step}; {item.id}", style="dim"))


def _sum_up(observations: Sequence[OutboxObservation], forgotten: int) -> None:
    if not observations:
        print_message(*_empty(forgotten))
        return
    media = [medium for observation in observations for medium in observation.media]
    left = [observation for observation in observations if observation.is_undelivered]
    aside = [observation for observation in observations if observation.is_aside]
    through = [observation for observation in observations if observation.is_through]
    line = Text(f"{len(observations)} observations 条记录, {len(media)} media 个影像 ")
    line.append(f"({size(sum(medium.byte_size for medium in media))}) on this phone: ")
    line.append(f"{len(through)} through 已完成", style="green" if through else "dim")
    line.append(", ")
    line.append(f"{len(left)} still to send 待发送", style="yellow" if left else "dim")
    line.append(", ")
    line.append(f"{len(aside)} need you 需处理", style="red" if aside else "dim")
    console.print(line)
    if media:
        arrived, verified = (
            size(sum(medium.bytes_sent for medium in media)),
            size(sum(medium.bytes_verified for medium in media)),
        )
        console.print(Text(f"Of the media, {arrived} sent 已发, {verified} verified 已核验.", style="dim"))


def _empty(forgotten: int) -> tuple[str, str]:
    if forgotten:
        return (
            f"Nothing is on this phone; it keeps the receipts of {forgotten} observations.",
            "手机上没有待办内容，保留有回执。",
        )
    return "Nothing is on this phone.", "手机上没有内容。"


def facts(rows: Sequence[dict[str, Any]]) -> None:
    """Print what the server read in each picture, beside its file name."""
    columns: tuple[str, ...] = (
        "file 文件",
        "type 类型",
        "state 状态",
        ">pixels 像素",
        ">turn 方向",
        ">length 时长",
        "taken 拍摄时间",
        "position 位置",
        ">height 海拔",
        "remark 备注",
    )
    is_compared = any("differences" in row for row in rows)
    columns = (*columns, *(["truth 对照"] if is_compared else []))
    lines: list[tuple[Text | str, ...]] = []
    for row in rows:
        found = row["facts"] or {}
        position = found.get("position") or {}
        altitude = position.get("altitudeMetres")
        line = (
            Text(row["name"]),
            (found.get("contentType") or "").partition("/")[2],
            state(row["state"]),
            f"{found['width']} x {found['height']}" if found.get("width") else "",
            _turn(found),
            _length(found),
            _camera_time(found),
            f"{position['latitude']:.6f}, {position['longitude']:.6f}" if position.get("latitude") is not None else "",
            "" if altitude is None else f"{altitude:.1f} m",
            _remark(found),
            *([_verdict(row["differences"])] if is_compared else []),
        )
        lines.append(line)
    print_wide(columns, lines)


def print_wide(columns: Sequence[str], lines: Sequence[Sequence[Text | str]]) -> None:
    """Print a table, or a paragraph for each row if the terminal is too narrow."""
    shown = new_table(*columns)
    for line in lines:
        shown.add_row(*line)
    # Fold a long name before a number.
    shown.columns[0].min_width = _NAME_WIDTH
    for column, cells in zip(shown.columns[1:], [*zip(columns, *lines, strict=True)][1:], strict=True):
        words = cells[0].strip(">").split()
        column.min_width = max(cell_len(str(cell)) for cell in (*words, *cells[1:]))
    if console.measure(shown, options=console.options.update(max_width=_ANY_WIDTH)).minimum <= console.width:
        console.print(shown)
        return
    for line in lines:
        console.print(Text.assemble((str(line[0]), "bold")))
        for label, cell in zip(columns[1:], line[1:], strict=True):
            if str(cell):
                console.print(Text.assemble("  ", (label.strip(">"), "dim"), "  ", cell))


def _turn(found: dict[str, Any]) -> str:
    """Return EXIF's orientation, or the container's rotation in degrees."""
    rotation = found.get("rotation")
    return f"{rotation}°" if rotation is not None else str(found.get("orientation") or "")


def _length(found: dict[str, Any]) -> str:
    millis, pages = found.get("durationMs"), found.get("pageCount")
    if pages is not None:
        return f"{pages} p."
    return "" if millis is None else f"{millis / 1000:.2f} s"


def _remark(found: dict[str, Any]) -> Text:
    motion = "motion photo" if found.get("motionVideo") else None
    words = (found.get("positionAbsent"), found.get("damage"), motion)
    return Text(" ".join(word.lower().replace("_", " ") for word in words if word))


def _verdict(differences: Sequence[str]) -> Text:
    if differences:
        return Text("; ".join(differences), style="red")
    return Text("agrees 一致", style="green")


def _camera_time(found: dict[str, Any]) -> str:
    """Return the camera's own time, and its offset if the file has one."""
    at = (found.get("takenAtLocal") or "").replace("T", " ").removesuffix(".000")
    offset = found.get("takenOffsetMinutes")
    if offset is None:
        return at
    return f"{at} {'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
