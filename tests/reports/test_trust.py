"""The section on why to trust the suite has the numbers that were counted."""

from __future__ import annotations

import json
from pathlib import Path

from read_page import parsed
from sample_runs import merge, small

from bnconform_reports.html_page import page
from bnconform_reports.sections.trust import trust

PACKAGED = Path(__file__).parents[2] / "reports" / "bnconform_reports" / "data" / "usual_checks.json"


def test_table_has_the_counts() -> None:
    """A row for each family and one for all, with the specimens, the suite's and each check's counts."""
    data = json.loads(PACKAGED.read_text())
    section = parsed(page(merge(small()))).one("section", id="trust")
    rows = [[td.text for td in row.all("td")] for row in section.one("table", id="caught").one("tbody").all("tr")]
    ids = [check["id"] for check in data["checks"]]
    expected = [[f["specimens"], f["suite"], *(f["caught"][id] for id in ids)] for f in data["families"]]
    assert [list(map(int, row)) for row in rows] == expected
    foot = [int(td.text) for td in section.one("tfoot").all("td")]
    assert foot == [sum(column) for column in zip(*expected, strict=True)]
    assert f"{foot[1]} of {foot[0]} are caught" in section.text
    assert f"{data['missed_by_all']} of them pass all" in section.text


def test_every_check_tells_its_rule_and_its_false_alarms() -> None:
    """Each check is listed with its rule, its source, and its false alarms on correct implementations."""
    section = parsed(page(merge(small()))).one("section", id="trust")
    told = [dd.text for dd in section.all("dd")]
    assert len(told) == len(trust()["checks"])
    for check, text in zip(trust()["checks"], told, strict=True):
        assert text.startswith(check["rule"])
        assert f"{check['alarms']} false alarm" in text
    assert [a.attributes["href"] for a in section.all("a")] == [c["source"] for c in trust()["checks"] if c["source"]]
