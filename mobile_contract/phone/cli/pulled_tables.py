"""Print tables of reports, assignments, places, the catalogue and receipts."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from mobile_contract.phone.cli.output import console, local_time, new_table, print_wide, state
from mobile_contract.phone.cli.wording import CATEGORIES
from mobile_contract.phone.outbox.receipts import StoredReceipt


def reports(nodes: Sequence[dict[str, Any]]) -> None:
    lines: list[tuple[Text | str, ...]] = []
    for node in nodes:
        content = node["content"]
        place = node["unit"] or node["monitoringPoint"] or {}
        name = place.get("name") or place.get("enterprise") or "?"
        follow = "; ".join(
            " ".join(
                filter(None, (follow_up["caseNumber"], follow_up["state"], follow_up["outcome"], follow_up["reply"]))
            )
            for follow_up in node["followUps"]
        )
        category = CATEGORIES.get(content["category"], content["category"])
        line = (
            local_time(node["receivedAt"]),
            Text(f"{category} {content['text'][:40]}".strip()),
            Text(name),
            f"{node['mediaArrived']}/{node['mediaExpected']}",
            Text(follow),
            Text(node["id"], style="dim"),
        )
        lines.append(line)
    print_wide(("received 接收", "what 内容", "unit 单位", ">media 影像", "follow-up 办理情况", "id"), lines)


def assignments(nodes: Sequence[dict[str, Any]]) -> None:
    table = new_table("id", "state 状态", "due 期限", "what 事项", "asked 要求", "by 交办人")
    for node in nodes:
        case, unit, by = node["case"] or {}, node["unit"] or {}, node["offeredBy"] or {}
        what = (
            f"{case['number']} {case['title']}"
            if case.get("number")
            else f"{unit.get('name', '')} {unit.get('code', '')}"
        )
        table.add_row(
            Text(node["id"]),
            Text("accepted 已签收", style="green") if node["state"] == "ACCEPTED" else state(node["state"]),
            node["dueOn"] or "",
            Text(what.strip()),
            Text(node["note"] or ""),
            Text(by.get("displayName", "")),
        )
    console.print(table)


def places(rows: Sequence[tuple[str, str, str]]) -> None:
    table = new_table("code 代码", "name 名称", "where 所属")
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    console.print(table)


def catalogue(nodes: Sequence[dict[str, Any]]) -> None:
    table = new_table("kind 类别", "code 代码", "name 名称", "from 起", "to 止", ">score 分值")
    for node in nodes:
        score = "" if node.get("score") is None else str(node["score"])
        dates = node["validFrom"], node["validTo"] or ""
        table.add_row(node["kind"].lower(), Text(node["code"]), Text(node["name"]), *dates, score)
    console.print(table)


def receipts(stored_receipts: Sequence[StoredReceipt]) -> None:
    table = new_table(">No. 序号", "received 接收", "SHA-256", "receipt 回执", "id")
    for receipt in stored_receipts:
        if receipt.wrong:
            verdict = Text(receipt.wrong, style="bold red")
        else:
            verdict = (
                Text("holds 有效", style="green") if receipt.is_signed else Text("not signed 未签名", style="yellow")
            )
        digest = str(receipt.said.get("contentSha256"))[:16]
        received = local_time(receipt.said.get("receivedAt"))
        table.add_row(str(receipt.sequence), received, digest, verdict, Text(receipt.observation_id, style="dim"))
    console.print(table)
