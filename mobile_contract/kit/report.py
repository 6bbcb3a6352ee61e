"""Write the results to the terminal, as JSON, and as JUnit XML for CI systems."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from rich.console import Console
from rich.text import Text

from mobile_contract.kit.results import CHINESE, ClauseResult, ClauseVerdict

COLOURS = {
    ClauseVerdict.HOLDS: "green",
    ClauseVerdict.BROKEN: "bold red",
    ClauseVerdict.NOT_RUN: "yellow",
    ClauseVerdict.KIT_ERROR: "bold magenta",
}


def table(console: Console, findings: Sequence[ClauseResult]) -> None:
    """Print the results by chapter: the clause's number, verdict and text, and below them the finding."""
    chapter = ""
    for finding in findings:
        if finding.chapter != chapter:
            chapter = finding.chapter
            console.print(Text(f"\n{chapter}", style="bold"), soft_wrap=True)
        verdict = Text(
            f"{finding.id:<4}{finding.verdict.value} {CHINESE[finding.verdict]}", style=COLOURS[finding.verdict]
        )
        console.print(verdict.append(f"  {finding.words}", style="default"), soft_wrap=True)
        console.print(Text(f"      {_printable(finding.seen)}", style="dim"), soft_wrap=True)
    console.print(Text(f"\n{summary(findings)}", style="bold"), soft_wrap=True)


def summary(findings: Sequence[ClauseResult]) -> str:
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in ClauseVerdict}
    return " · ".join(f"{count} {verdict.value} {CHINESE[verdict]}" for verdict, count in counts.items() if count)


def as_json(findings: Sequence[ClauseResult]) -> str:
    return json.dumps([asdict(finding) for finding in findings], indent=2)


def junit(findings: Sequence[ClauseResult], url: str) -> bytes:
    """Return JUnit XML: one suite with one test case for each clause.

    A broken clause is a failure, a clause that was not run is skipped, and a kit error is an error.
    """
    count = {verdict: str(sum(finding.verdict is verdict for finding in findings)) for verdict in ClauseVerdict}
    suite = Element(
        "testsuite",
        name=f"mobile contract of {url}",
        tests=str(len(findings)),
        failures=count[ClauseVerdict.BROKEN],
        errors=count[ClauseVerdict.KIT_ERROR],
        skipped=count[ClauseVerdict.NOT_RUN],
        time=f"{sum(finding.seconds for finding in findings):.3f}",
    )
    tags = {ClauseVerdict.BROKEN: "failure", ClauseVerdict.NOT_RUN: "skipped", ClauseVerdict.KIT_ERROR: "error"}
    for finding in findings:
        name = f"{finding.id} {finding.words}"
        case = SubElement(suite, "testcase", classname=finding.chapter, name=name, time=f"{finding.seconds:.3f}")
        element = SubElement(case, tags.get(finding.verdict, "system-out"))
        if finding.verdict is ClauseVerdict.HOLDS:
            element.text = _printable(finding.seen)
        else:
            element.set("message", _printable(finding.seen))
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    content: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _printable(text: str) -> str:
    """Replace characters that XML and terminals can't show, namely control characters and halves of emojis."""
    return "".join(sign if sign.isprintable() else "�" for sign in text)
