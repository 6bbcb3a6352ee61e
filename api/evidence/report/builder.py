"""The report of a pack: what stands in its page and its PDF, in Chinese, from the record's data and what was packed.

The words are `pack_words.py`'s; how the blocks look is left to `pack_html.py` and `pack_pdf.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.evidence.report.blocks import Block, Facts, Heading, PackReport, Paragraph, PictureBlock, Pictures, TableBlock
from api.evidence.report.integrity_section import FINDINGS, OF_THUMBNAILS, proof
from api.evidence.report.map_sketch import SketchPlace, sketch_of
from api.evidence.report.wording import Words, instant, offset, person, position, unit
from schema.core.times import print_instant
from schema.evidence.packs import IntegrityFinding, PackAbout, PackedMedium, PackedRevision, PackedThumbnail

Data = Mapping[str, Any]


class Reporter:
    def __init__(
        self,
        words: Words,
        about: PackAbout,
        data: Data,
        media: Sequence[PackedMedium],
        revisions: Sequence[PackedRevision],
        thumbnails: Sequence[PackedThumbnail],
    ) -> None:
        self._words, self._about, self._data = words, about, data
        self._media, self._revisions = media, revisions
        self._packed = {each.id: each for each in media}
        self._thumbnails = {each.media_id: each for each in thumbnails}
        self._observations: list[Data] = data["observations"] if about.kind == "case" else [data]
        self._numbers: dict[str, str] = {}
        for number, each in enumerate(self._observations, 1):
            for place, medium in enumerate(_media_of(each), 1):
                self._numbers[medium["id"]] = f"{number}-{place}"

    def report(self) -> PackReport:
        name = f"案件 {self._about.number}" if self._about.number else f"记录 {self._about.id}"
        return PackReport(
            title="证据包",
            running=f"证据包 · {name}",
            made_at=print_instant(self._about.made_at),
            blocks=[
                *self._opening(),
                *self._map(),
                *self._table(),
                *self._details(),
                *self._life(),
                *proof(self._media, list(self._thumbnails.values()), self._revisions, self._numbers),
            ],
        )

    def _opening(self) -> Iterator[Block]:
        bad = [each for each in self._media if each.finding in {IntegrityFinding.ALTERED, IntegrityFinding.MISSING}]
        for each in bad:
            yield Paragraph(f"注意：影像 {self._numbers.get(each.id, each.id)} {FINDINGS[each.finding]}。", "warning")
        for thumbnail in self._thumbnails.values():
            if thumbnail.finding is IntegrityFinding.ALTERED:
                number = self._numbers.get(thumbnail.media_id, thumbnail.media_id)
                yield Paragraph(
                    f"注意：影像 {number} 的{OF_THUMBNAILS[IntegrityFinding.ALTERED]}；以原件为准。", "warning"
                )
        if self._about.kind == "case":
            yield from self._case()
        about, maker = self._about, self._about.maker or "（不显示）"
        withheld = (
            "含身份信息，请按规定保管。"
            if about.identities
            else "不含巡查、反映、投诉人身份和设备信息；原件本身可能带有设备信息。"
        )
        yield Facts(
            [
                ("制作时间", f"{instant(print_instant(about.made_at))}（北京时间）"),
                ("制作人", f"{maker}　{about.office or ''}"),
                ("身份信息", withheld),
                ("签名公钥指纹", about.fingerprint),
                ("时间", "本报告中的时间，除另行注明者外，均为北京时间（UTC+08:00）。"),
            ]
        )

    def _case(self) -> Iterator[Block]:
        case, of = self._data, self._words.of
        yield Heading(case["title"])
        yield Facts(
            [
                ("编号", case["number"]),
                ("问题类别", of("Category", case["category"])),
                ("办理状态", of("CaseState", case["state"])),
                ("立案时间", instant(case["openedAt"])),
                ("承办机构", unit(case["office"])),
                ("涉及单位", unit(case["unit"])),
                *([("监测点", _point(case["monitoringPoint"]))] if case["monitoringPoint"] else []),
                ("首问责任人", person(case["firstResponder"])),
                ("现责任人", person(case["responsible"])),
                *([("摘要", case["summary"])] if case["summary"] else []),
                *(
                    [("办理结果", of("CaseOutcome", case["outcome"])), ("办结时间", instant(case["closedAt"]))]
                    if case["outcome"]
                    else []
                ),
                *([("答复", case["reply"])] if case["reply"] else []),
            ]
        )

    def _map(self) -> Iterator[Block]:
        sketch = sketch_of(list(self._places()))
        if sketch:
            yield Heading("位置示意图")
            yield sketch
            for text in sketch.beyond:
                yield Paragraph(text, "small")
            yield Paragraph(
                "圆点为记录，圈为定位精度；方块为影像自带位置；三角为单位或监测点。上北下南，不含底图。", "small"
            )

    def _places(self) -> Iterator[SketchPlace]:
        fixed = {}
        for number, each in enumerate(self._observations, 1):
            yield from _place("seen", str(number), each["content"]["position"])
            for medium in _media_of(each):
                if facts := medium["facts"]:
                    yield from _place("photo", self._numbers[medium["id"]], facts["position"])
            for record in (each["unit"], each["monitoringPoint"]):
                if record:
                    fixed[record["id"]] = record
        for record in fixed.values():
            yield from _place("unit", record.get("name") or record["enterprise"], record["position"])

    def _table(self) -> Iterator[Block]:
        if self._about.kind != "case":
            return
        yield Heading(f"记录一览（{len(self._observations)}）")
        rows = [
            (
                str(number),
                instant(each["content"]["capturedAt"]),
                self._words.of("Category", each["content"]["category"]),
                each["unit"]["name"] if each["unit"] else each["content"]["claimedUnit"] or "—",
                _excerpt(each["content"]["text"]),
                str(len(_media_of(each))),
            )
            for number, each in enumerate(self._observations, 1)
        ]
        yield TableBlock(
            ("序号", "发生时间", "类别", "单位", "情况", "影像"), (0.07, 0.15, 0.14, 0.22, 0.34, 0.08), rows
        )

    def _details(self) -> Iterator[Block]:
        yield Heading("记录详情")
        for number, each in enumerate(self._observations, 1):
            yield from self._observation(number, each)

    def _observation(self, number: int, each: Data) -> Iterator[Block]:
        content, of = each["content"], self._words.of
        zone = offset(content["capturedOffsetMinutes"])
        yield Heading(f"{number}　{of('Category', content['category'])}　{of('Severity', content['severity'])}", 2)
        rows = [
            ("编号", each["id"]),
            ("方式", of("Method", content["method"])),
            ("发生时间", f"{instant(content['capturedAt'])}（北京时间；设备时区 {zone}）"),
            ("接收时间", f"{instant(each['receivedAt'])}（北京时间）"),
            ("单位", unit(each["unit"]) if each["unit"] else content["claimedUnit"] or "—"),
            ("位置", position(content["position"])),
            ("记录人", person(each["author"])),
        ]
        if each["monitoringPoint"]:
            rows.append(("监测点", _point(each["monitoringPoint"])))
        if content["staffSeen"]:
            rows.append(("工作人员", content["staffSeen"]))
        if told := each.get("complainant"):
            named = "匿名" if told["isAnonymous"] else told["name"] or "—"
            rows.append(("投诉人", f"{named}　{told['contact'] or ''}"))
        rows.append(("情况", content["text"] or "—"))
        yield Facts(rows)
        for revision in each["revisions"][:-1]:
            yield Paragraph(f"第 {revision['number']} 版（{instant(revision['recordedAt'])}）原文：", "small")
            yield Paragraph(revision["content"]["text"] or "—", "small")
        if each["revision"] > 1:
            last = each["revisions"][-1]
            yield Paragraph(
                f"现为第 {last['number']} 版（{instant(last['recordedAt'])}），更正理由：{last['reason']}", "small"
            )
        if pictures := [self._picture(medium) for medium in _media_of(each)]:
            yield Pictures(pictures)
        if each["flags"]:
            places = {medium["id"]: place for place, medium in enumerate(_media_of(each))}
            ordered = sorted(each["flags"], key=lambda flag: places.get((flag["medium"] or {}).get("id"), -1))
            flags = [self._flag(flag) for flag in ordered]
            yield TableBlock(("影像", "疑点（系统自动比对，供核查）", "核查结论"), (0.1, 0.6, 0.3), flags)

    def _flag(self, flag: Data) -> tuple[str, str, str]:
        of = self._words.of
        told = of("FlagVerdict", flag["verdict"]) if flag["verdict"] else of("FlagState", flag["state"])
        note = flag["reviews"][-1]["note"] if flag["reviews"] else ""
        medium = self._numbers.get(flag["medium"]["id"], "—") if flag["medium"] else "—"
        return medium, flag["messageZh"], f"{told}：{note}" if note else told

    def _picture(self, medium: Data) -> PictureBlock:
        packed, facts = self._packed[medium["id"]], medium["facts"] or {}
        thumbnail = self._thumbnails.get(medium["id"])
        taken = (facts.get("takenAtLocal") or "")[:19].replace("T", " ")
        minutes = facts.get("takenOffsetMinutes")
        zone = offset(minutes) if minutes is not None else "时区不详"
        spoiled = OF_THUMBNAILS.get(thumbnail.finding) if thumbnail else None
        return PictureBlock(
            id=medium["id"],
            caption=[
                f"{self._numbers[medium['id']]}　{self._words.of('MediaKind', medium['kind'])}　{FINDINGS[packed.finding]}",
                *([f"相机时间 {taken} {zone}"] if taken else []),
                *(["画面有损坏"] if facts.get("damage") else []),
                *([spoiled] if spoiled else []),
            ],
            says=self._words.of("MediaKind", medium["kind"]) if packed.path else FINDINGS[packed.finding],
            thumbnail=thumbnail.path if thumbnail else None,
            original=packed.path,
        )

    def _life(self) -> Iterator[Block]:
        if self._about.kind != "case":
            return
        of = self._words.of
        if given := self._data["assignments"]:
            yield Heading("交办")
            rows = [
                (
                    person(each["assignee"]),
                    of("AssignmentState", each["state"]),
                    instant(each["offeredAt"]),
                    each["dueOn"] or "—",
                    each["result"] or each["note"] or "—",
                )
                for each in given
            ]
            yield TableBlock(("承办人", "状态", "交办时间", "期限", "结果或要求"), (0.17, 0.13, 0.2, 0.14, 0.36), rows)
        yield Heading("办理记录")
        rows = [
            (
                instant(each["at"]),
                of("CaseEventKind", each["kind"]),
                of("CaseState", each["state"]),
                person(each["by"]),
                each["note"] or "—",
            )
            for each in self._data["history"]
        ]
        yield TableBlock(("时间", "事项", "之后状态", "经办人", "说明"), (0.2, 0.14, 0.14, 0.17, 0.35), rows)


def _media_of(observation: Data) -> list[Data]:
    """Of all revisions, the newest first: a correction may have added some."""
    found: dict[str, Data] = {each["id"]: each for each in observation["content"]["media"]}
    for revision in observation["revisions"]:
        for each in revision["content"]["media"]:
            found.setdefault(each["id"], each)
    return list(found.values())


def _place(kind: str, name: str, given: Data | None) -> Iterator[SketchPlace]:
    if given and given["latitude"] is not None:
        yield SketchPlace(kind, name, given["latitude"], given["longitude"], given["accuracyMetres"])


def _point(given: Data) -> str:
    return f"{given['enterprise']}（{given['industry']}）"


def _excerpt(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:59] + "…"
