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
    """Print JSON. A letter that the terminal's encoding lacks is printed as JSON's escape."""
    text = as_text(value)
    try:
        text.encode(console.encoding)
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    console.out(text, highlight=False)


def as_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def state(name: str) -> Text:
    words, style = STATES.get(name, (name.lower(), ""))
    return Text(words, style=style)


def new_table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.strip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return table


def local_time(instant: str | None) -> str:
    """Format a time in this machine's time zone, to the minute."""
    return f"{datetime.fromisoformat(instant).astimezone():%Y-%m-%d %H:%M}" if instant else ""


def outbox(observations: Sequence[OutboxObservation], forgotten: int) -> None:
    """Print a line for each observation and each of its media, then the summary."""
    if observations:
        table = new_table(">No. 序号", "seen 时间", "what 内容", "unit 单位", ">size 大小", "state 状态")
        for observation in observations:
            draft = observation.draft
            what = " ".join(filter(None, (CATEGORIES.get(draft["category"], draft["category"]), draft["text"][:40])))
            # The draft has the offset of its place, so this is the time that people there saw.
            captured = f"{datetime.fromisoformat(draft['capturedAt']):%Y-%m-%d %H:%M}"
            unit = draft.get("unit") or draft.get("monitoringPoint") or ""
            table.add_row(str(observation.sequence), captured, Text(what), Text(unit), "", state(observation.state))
            for medium in observation.media:
                table.add_row("", "", Text(f"└ {medium.name}"), "", size(medium.byte_size), _progress(medium))
        console.print(table)
    summary(observations, forgotten)


def summary(observations: Sequence[OutboxObservation], forgotten: int) -> None:
    """Print the errors of each item, then the totals."""
    for observation in observations:
        _explain(observation)
    _sum_up(observations, forgotten)


def ratings(operations: Sequence[QueuedOperation]) -> None:
    """Print a line for each stored rating, and its errors."""
    if not operations:
        return
    table = new_table("No. 序号", "month 月份", "unit 单位", ">score 分值", "state 状态")
    for operation in operations:
        draft = operation.draft
        score = str(draft.get("score", draft.get("grade", "")))
        table.add_row(operation.label, draft["month"][:7], Text(draft["unit"]), Text(score), state(operation.state))
    console.print(table)
    explain_operations(operations, "rate")


def answers(operations: Sequence[QueuedOperation]) -> None:
    """Print a line for each stored answer to an assignment, and its errors."""
    if not operations:
        return
    table = new_table("No. 序号", "assignment 交办", "answer 回复", "state 状态")
    for operation in operations:
        is_held = (operation.receipt or {}).get("outcome") == "HELD"
        word = Text("held 暂存", style="yellow") if is_held else state(operation.state)
        table.add_row(operation.label, operation.draft["assignmentId"], ANSWERS[operation.draft["kind"]], word)
    console.print(table)
    explain_operations(operations, "answer")


def explain_operations(operations: Sequence[QueuedOperation], again: str) -> None:
    """Print each operation's error. For a refused operation, also print how to delete it and start over.

    `again` is the verb for starting over, such as "rate".
    """
    for operation in operations:
        problem = operation.refusal or operation.trouble
        if problem:
            line = Text(f"{operation.label}: {problem['message']} ", style="red" if operation.refusal else "yellow")
            line.append(problem["messageZh"], style="dim")
            console.print(line)
            if operation.refusal:
                console.print(
                    Text(
                        f"  {problem['code']}: delete it with `discard {operation.label}`, and {again} again",
                        style="dim",
                    )
                )


def alarms(messages: Sequence[tuple[str, str]]) -> None:
    for english, chinese in messages:
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
        problem = item.refusal or item.trouble
        if problem is None:
            continue
        field = f" ({problem['field']})" if problem.get("field") else ""
        line = Text(f"{name}: {problem['message']}{field} ", style="red" if item.refusal else "yellow")
        line.append(problem["messageZh"], style="dim")
        console.print(line)
        if item.refusal:
            step = NEXT_STEPS.get(problem["nextStep"], problem["nextStep"])
            console.print(Text(f"  {problem['code']}: {step}; {item.id}", style="dim"))


def _sum_up(observations: Sequence[OutboxObservation], forgotten: int) -> None:
    if not observations:
        print_message(*_empty(forgotten))
        return
    media = [medium for observation in observations for medium in observation.media]
    undelivered = [observation for observation in observations if observation.is_undelivered]
    aside = [observation for observation in observations if observation.is_aside]
    through = [observation for observation in observations if observation.is_through]
    line = Text(f"{len(observations)} observations 条记录, {len(media)} media 个影像 ")
    line.append(f"({size(sum(medium.byte_size for medium in media))}) on this phone: ")
    line.append(f"{len(through)} through 已完成", style="green" if through else "dim")
    line.append(", ")
    line.append(f"{len(undelivered)} still to send 待发送", style="yellow" if undelivered else "dim")
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
    """Print the metadata that the server read from each file, beside the file's name."""
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
        facts_of_row = row["facts"] or {}
        position = facts_of_row.get("position") or {}
        altitude = position.get("altitudeMetres")
        line = (
            Text(row["name"]),
            (facts_of_row.get("contentType") or "").partition("/")[2],
            state(row["state"]),
            f"{facts_of_row['width']} x {facts_of_row['height']}" if facts_of_row.get("width") else "",
            _turn(facts_of_row),
            _length(facts_of_row),
            _camera_time(facts_of_row),
            f"{position['latitude']:.6f}, {position['longitude']:.6f}" if position.get("latitude") is not None else "",
            "" if altitude is None else f"{altitude:.1f} m",
            _remark(facts_of_row),
            *([_verdict(row["differences"])] if is_compared else []),
        )
        lines.append(line)
    print_wide(columns, lines)


def print_wide(columns: Sequence[str], lines: Sequence[Sequence[Text | str]]) -> None:
    """Print a table. If the terminal is too narrow, print a paragraph for each row instead."""
    table = new_table(*columns)
    for line in lines:
        table.add_row(*line)
    # Fold a long name before a number.
    table.columns[0].min_width = _NAME_WIDTH
    for column, cells in zip(table.columns[1:], [*zip(columns, *lines, strict=True)][1:], strict=True):
        words = cells[0].strip(">").split()
        column.min_width = max(cell_len(str(cell)) for cell in (*words, *cells[1:]))
    if console.measure(table, options=console.options.update(max_width=_ANY_WIDTH)).minimum <= console.width:
        console.print(table)
        return
    for line in lines:
        console.print(Text.assemble((str(line[0]), "bold")))
        for label, cell in zip(columns[1:], line[1:], strict=True):
            if str(cell):
                console.print(Text.assemble("  ", (label.strip(">"), "dim"), "  ", cell))


def _turn(facts: dict[str, Any]) -> str:
    """Return EXIF's orientation, or the container's rotation in degrees."""
    rotation = facts.get("rotation")
    return f"{rotation}°" if rotation is not None else str(facts.get("orientation") or "")


def _length(facts: dict[str, Any]) -> str:
    millis, pages = facts.get("durationMs"), facts.get("pageCount")
    if pages is not None:
        return f"{pages} p."
    return "" if millis is None else f"{millis / 1000:.2f} s"


def _remark(facts: dict[str, Any]) -> Text:
    motion = "motion photo" if facts.get("motionVideo") else None
    words = (facts.get("positionAbsent"), facts.get("damage"), motion)
    return Text(" ".join(word.lower().replace("_", " ") for word in words if word))


def _verdict(differences: Sequence[str]) -> Text:
    if differences:
        return Text("; ".join(differences), style="red")
    return Text("agrees 一致", style="green")


def _camera_time(facts: dict[str, Any]) -> str:
    """Return the camera's own time, and its offset if the file has one."""
    at = (facts.get("takenAtLocal") or "").replace("T", " ").removesuffix(".000")
    offset = facts.get("takenOffsetMinutes")
    if offset is None:
        return at
    return f"{at} {'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
