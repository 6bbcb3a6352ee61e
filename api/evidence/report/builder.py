"""Build the Chinese-language report of a pack, as blocks, from the record's data and the packed files."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.evidence.report.blocks import Block, Facts, Heading, PackReport, Paragraph, PictureBlock, Pictures, TableBlock
from api.evidence.report.integrity_section import FINDINGS, OF_THUMBNAILS, integrity_blocks
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
        self._packed = {medium.id: medium for medium in media}
        self._thumbnails = {thumbnail.media_id: thumbnail for thumbnail in thumbnails}
        self._observations: list[Data] = data["observations"] if about.kind == "case" else [data]
        self._numbers: dict[str, str] = {}
        for observation_number, observation in enumerate(self._observations, 1):
            for medium_number, medium in enumerate(_media_of(observation), 1):
                self._numbers[medium["id"]] = f"{observation_number}-{medium_number}"

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
                *integrity_blocks(self._media, list(self._thumbnails.values()), self._revisions, self._numbers),
            ],
        )

    def _opening(self) -> Iterator[Block]:
        for medium in self._media:
            if medium.finding in {IntegrityFinding.ALTERED, IntegrityFinding.MISSING}:
                number = self._numbers.get(medium.id, medium.id)
                yield Paragraph(f"注意：影像 {number} {FINDINGS[medium.finding]}。", "warning")
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
        sites = {}
        for number, observation in enumerate(self._observations, 1):
            yield from _place("seen", str(number), observation["content"]["position"])
            for medium in _media_of(observation):
                if facts := medium["facts"]:
                    yield from _place("photo", self._numbers[medium["id"]], facts["position"])
            for site in (observation["unit"], observation["monitoringPoint"]):
                if site:
                    sites[site["id"]] = site
        for site in sites.values():
            yield from _place("unit", site.get("name") or site["enterprise"], site["position"])

    def _table(self) -> Iterator[Block]:
        if self._about.kind != "case":
            return
        yield Heading(f"记录一览（{len(self._observations)}）")
        rows = [
            (
                str(number),
                instant(observation["content"]["capturedAt"]),
                self._words.of("Category", observation["content"]["category"]),
                observation["unit"]["name"] if observation["unit"] else observation["content"]["claimedUnit"] or "—",
                _excerpt(observation["content"]["text"]),
                str(len(_media_of(observation))),
            )
            for number, observation in enumerate(self._observations, 1)
        ]
        yield TableBlock(
            ("序号", "发生时间", "类别", "单位", "情况", "影像"), (0.07, 0.15, 0.14, 0.22, 0.34, 0.08), rows
        )

    def _details(self) -> Iterator[Block]:
        yield Heading("记录详情")
        for number, observation in enumerate(self._observations, 1):
            yield from self._observation(number, observation)

    def _observation(self, number: int, observation: Data) -> Iterator[Block]:
        content, of = observation["content"], self._words.of
        zone = offset(content["capturedOffsetMinutes"])
        yield Heading(f"{number}　{of('Category', content['category'])}　{of('Severity', content['severity'])}", 2)
        rows = [
            ("编号", observation["id"]),
            ("方式", of("Method", content["method"])),
            ("发生时间", f"{instant(content['capturedAt'])}（北京时间；设备时区 {zone}）"),
            ("接收时间", f"{instant(observation['receivedAt'])}（北京时间）"),
            ("单位", unit(observation["unit"]) if observation["unit"] else content["claimedUnit"] or "—"),
            ("位置", position(content["position"])),
            ("记录人", person(observation["author"])),
        ]
        if observation["monitoringPoint"]:
            rows.append(("监测点", _point(observation["monitoringPoint"])))
        if content["staffSeen"]:
            rows.append(("工作人员", content["staffSeen"]))
        if complainant := observation.get("complainant"):
            name = "匿名" if complainant["isAnonymous"] else complainant["name"] or "—"
            rows.append(("投诉人", f"{name}　{complainant['contact'] or ''}"))
        rows.append(("情况", content["text"] or "—"))
        yield Facts(rows)
        for revision in observation["revisions"][:-1]:
            yield Paragraph(f"第 {revision['number']} 版（{instant(revision['recordedAt'])}）原文：", "small")
            yield Paragraph(revision["content"]["text"] or "—", "small")
        if observation["revision"] > 1:
            last = observation["revisions"][-1]
            yield Paragraph(
                f"现为第 {last['number']} 版（{instant(last['recordedAt'])}），更正理由：{last['reason']}", "small"
            )
        if pictures := [self._picture(medium) for medium in _media_of(observation)]:
            yield Pictures(pictures)
        if observation["flags"]:
            order = {medium["id"]: number for number, medium in enumerate(_media_of(observation))}
            in_order = sorted(observation["flags"], key=lambda flag: order.get((flag["medium"] or {}).get("id"), -1))
            flags = [self._flag(flag) for flag in in_order]
            yield TableBlock(("影像", "疑点（系统自动比对，供核查）", "核查结论"), (0.1, 0.6, 0.3), flags)

    def _flag(self, flag: Data) -> tuple[str, str, str]:
        of = self._words.of
        verdict = of("FlagVerdict", flag["verdict"]) if flag["verdict"] else of("FlagState", flag["state"])
        note = flag["reviews"][-1]["note"] if flag["reviews"] else ""
        medium = self._numbers.get(flag["medium"]["id"], "—") if flag["medium"] else "—"
        return medium, flag["messageZh"], f"{verdict}：{note}" if note else verdict

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
            placeholder=self._words.of("MediaKind", medium["kind"]) if packed.path else FINDINGS[packed.finding],
            thumbnail=thumbnail.path if thumbnail else None,
            original=packed.path,
        )

    def _life(self) -> Iterator[Block]:
        if self._about.kind != "case":
            return
        of = self._words.of
        if assignments := self._data["assignments"]:
            yield Heading("交办")
            rows = [
                (
                    person(assignment["assignee"]),
                    of("AssignmentState", assignment["state"]),
                    instant(assignment["offeredAt"]),
                    assignment["dueOn"] or "—",
                    assignment["result"] or assignment["note"] or "—",
                )
                for assignment in assignments
            ]
            yield TableBlock(("承办人", "状态", "交办时间", "期限", "结果或要求"), (0.17, 0.13, 0.2, 0.14, 0.36), rows)
        yield Heading("办理记录")
        rows = [
            (
                instant(entry["at"]),
                of("CaseEventKind", entry["kind"]),
                of("CaseState", entry["state"]),
                person(entry["by"]),
                entry["note"] or "—",
            )
            for entry in self._data["history"]
        ]
        yield TableBlock(("时间", "事项", "之后状态", "经办人", "说明"), (0.2, 0.14, 0.14, 0.17, 0.35), rows)


def _media_of(observation: Data) -> list[Data]:
    """Return the media of all revisions. The media of the current content come first.

    Earlier revisions count, because a correction may have dropped media.
    """
    media: dict[str, Data] = {medium["id"]: medium for medium in observation["content"]["media"]}
    for revision in observation["revisions"]:
        for medium in revision["content"]["media"]:
            media.setdefault(medium["id"], medium)
    return list(media.values())


def _place(kind: str, name: str, point: Data | None) -> Iterator[SketchPlace]:
    if point and point["latitude"] is not None:
        yield SketchPlace(kind, name, point["latitude"], point["longitude"], point["accuracyMetres"])


def _point(monitoring_point: Data) -> str:
    return f"{monitoring_point['enterprise']}（{monitoring_point['industry']}）"


def _excerpt(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:59] + "…"
