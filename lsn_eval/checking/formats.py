"""How the findings of a check are shown: terminal table, JUnit XML, GitHub annotations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from lsn_eval.checking.findings import QUIET, CheckResult, Finding, Verdict
from lsn_eval.visible_text import visible
from lsn_eval.wording.text_tables import aligned


def table(result: CheckResult) -> str:
    """Everything but what is ok, one line each; then how many of each verdict."""
    outcome, rows = result.summary()
    lines = [*aligned(rows), ""] if result.remarkable else []
    if any(finding.unchanged for finding in result.remarkable):
        lines += ["* the intervention overwrote values with what was there: dead neurons?", ""]
    return "\n".join([*lines, outcome])


def junit(findings: Sequence[Finding], baseline: Path) -> bytes:
    """JUnit XML: a test case for each finding; what is new is a skipped one."""
    failures = sum(finding.failing for finding in findings)
    skipped = sum(finding.verdict is Verdict.NEW for finding in findings)
    counts = {"tests": str(len(findings)), "failures": str(failures), "errors": "0"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": "lsn-eval check", **counts, "skipped": str(skipped)}
    )
    for finding in findings:
        name = " ".join(filter(None, (finding.task, finding.metric))) or "all tasks"
        if finding.verdict in (Verdict.GATE_MET, Verdict.GATE_FAILED):
            name = f"gate {finding.message.partition(':')[0]}: {name}"
        if finding.verdict is Verdict.CHANGED_SIGNATURE:
            name = f"signature: {name}"
        classname = " ".join(filter(None, (finding.model, finding.condition)))
        case = {"classname": classname, "name": name, "file": str(baseline)}
        if finding.line is not None:
            case["line"] = str(finding.line)
        shown = {key: visible(text) for key, text in case.items()}
        element = ElementTree.SubElement(suite, "testcase", shown)
        message = visible(sentence(finding))
        if finding.failing:
            failure = {"type": str(finding.verdict), "message": message}
            ElementTree.SubElement(element, "failure", failure).text = message
        elif finding.verdict is Verdict.NEW:
            ElementTree.SubElement(element, "skipped", {"message": message})
        elif finding.message:
            ElementTree.SubElement(element, "system-out").text = message
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def github(findings: Sequence[Finding], baseline: Path) -> list[str]:
    """GitHub workflow commands at the lines of the baseline: errors, warnings, notices."""
    lines = []
    for finding in findings:
        if finding.verdict in QUIET and not finding.unchanged:
            continue
        kind = "error" if finding.failing else "notice"
        text = sentence(finding)
        if finding.unchanged and not finding.failing:
            kind = "warning"
            text += "; the intervention overwrote values with what was there"
        place = {"file": _from_here(baseline), "title": f"lsn-eval check: {finding.verdict}"}
        if finding.line is not None:
            place["line"] = str(finding.line)
        properties = ",".join(f"{key}={_property(value)}" for key, value in place.items())
        lines.append(f"::{kind} {properties}::{_data(text)}")
    return lines


def sentence(finding: Finding) -> str:
    """A finding in one line of text."""
    names = (finding.model, finding.condition, finding.task, finding.metric)
    what = f"{' '.join(filter(None, names))}: {finding.verdict}"
    allowed = f" (allowed {finding.allowed})" if finding.allowed else ""
    return f"{what}: {finding.message}{allowed}" if finding.message else f"{what}{allowed}"


def _from_here(path: Path) -> str:
    """As GitHub wants it: relative to the repository, where the workflow runs."""
    here = Path.cwd()
    inside = path.is_absolute() and path.is_relative_to(here)
    return (path.relative_to(here) if inside else path).as_posix()


def _data(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
