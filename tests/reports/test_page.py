"""The page: its numbers are those of results.json, its text is text, its links lead somewhere, its size is bounded."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from read_page import Node, parsed
from sample_runs import LINK, SCRIPT_NAME, broken, cell, identity, large, merge, run, small

from bnconform.judging.findings import number
from bnconform.requirements import BY_ID
from bnconform_reference.dialect import Dialect
from bnconform_reports.html_page import FAMILIES, page
from bnconform_reports.records.merging import similar_runs
from bnconform_reports.records.schema import Results, Runs
from bnconform_reports.records.wording import LOOKS, ratio_text
from bnconform_reports.sections.conventions import moves

LOADS = ("src", "srcset", "data", "poster", "action", "formaction", "background", "xlink:href")
"""Attributes by which a browser fetches."""


def made(*runs: Results) -> str:
    """The page of some runs."""
    return page(merge(*runs))


@pytest.fixture(scope="module")
def small_page() -> Node:
    """The page of the small record, parsed."""
    return parsed(made(small()))


def classes(node: Node) -> list[str]:
    """The classes of an element."""
    return node.attributes.get("class", "").split()


def squares(root: Node) -> dict[tuple[str, str], Node]:
    """Cells of the matrix by requirement and implementation."""
    grid = root.one("table", id="grid")
    names = [th.text.strip() for th in grid.one("thead").all("th")][1:]
    found = {}
    for row in grid.one("tbody").all("tr"):
        for name, td in zip(names, row.all("td"), strict=True):
            if td.children:
                found[row.one("th").one("b").text, name] = td
    return found


def test_every_cell_shows_the_numbers_of_the_record(small_page: Node, tmp_path: Path) -> None:
    """Verdict, worst ratio or grade, ULP and cases of each cell are those that results.json has; no cell is missing."""
    Runs.of([small()]).write(tmp_path / "results.json")
    record = json.loads((tmp_path / "results.json").read_text())["runs"][0]["cells"]
    found = squares(small_page)
    assert set(found) == {(c["requirement"], c["implementation"]) for c in record}
    for c in record:
        td = found[c["requirement"], c["implementation"]]
        (inner,) = td.all("a" if c["verdict"] == "breaks" else "span")
        kind = LOOKS["known" if c["known"] else c["verdict"]]
        assert classes(td) == [kind.css]
        assert inner.one("s").text == kind.glyph
        assert inner.one("u").text.strip() == kind.word
        numbers = "".join(child for child in inner.children if isinstance(child, str)).strip()
        assert numbers == shown(c)
        title = inner.attributes["title"]
        assert f"{c['cases']} cases" in title
        assert c["reason"] in title or c["verdict"] == "breaks"
        if c["elements"] and c["verdict"] in ("meets", "differs"):
            assert f"worst {ratio_text(c['worst_ratio'])} of the allowed error ({c['worst_ulp']:.3g} ulp)" in title


def shown(c: dict[str, Any]) -> str:
    """The text that a cell of a record must show."""
    if c["grade"]:
        return str(c["grade"])
    judged = c["verdict"] == "breaks" or (c["verdict"] in ("meets", "differs") and c["elements"])
    return ratio_text(float(c["worst_ratio"])) if judged else ""


def test_headline_and_legend_count_the_record(small_page: Node) -> None:
    """Title and headline say how many cells break and differ; the legend counts every kind."""
    counts = Counter(c.verdict for c in small().cells)
    judged = counts["meets"] + counts["differs"] + counts["breaks"]
    headline = small_page.one("h1").text
    assert headline.startswith(f"{counts['breaks']} of {judged} cells break a requirement, 1 of them not known before")
    assert headline.endswith(f"{counts['differs']} differ by documented convention")
    assert headline in small_page.one("head").one("title").text
    items = {
        li.one("b").text: int(str(li.children[3]).strip())
        for li in small_page.one("ul", **{"class": "legend"}).all("li")
    }
    assert items == {
        "meets": counts["meets"],
        "differs": counts["differs"],
        "breaks": 1,
        "breaks, known": counts["breaks"] - 1,
        "not claimed": counts["not claimed"],
        "not run": counts["not run"],
        "not judged": counts["not judged"],
    }


def test_page_says_what_made_it(small_page: Node) -> None:
    """Date, profile, seed, machine, versions and the number of cases are at the top."""
    about = small_page.one("header").text
    for text in ("2026-11-28 10:00", "profile quick", "seed 7", "Linux x86_64", "python 3.11.7", "torch 2.13.0"):
        assert text in about
    assert f"{sum(c.cases for c in small().cells)} cases" in about


def test_similar_runs_make_one_line() -> None:
    """Many runs of one profile and machine make one line, with every seed; another profile makes its own."""
    run = small()
    later = replace(run, created="2026-11-28T12:30:00+00:00", seed=5)
    other = replace(run, profile="thorough")
    first, second = similar_runs([run, later, other])
    assert (first.when, first.seeds) == ("2026-11-28 10:00 to 2026-11-28 12:30 UTC", "seeds 5, 7")
    assert (second.runs[0].profile, second.seeds) == ("thorough", "seed 7")


def test_broken_cell_is_shown_in_full(small_page: Node) -> None:
    """Law, numbers, smallest case, command and script of a broken cell are there, as in the record."""
    c = broken("X3", "torch", 5e4)
    assert c.finding is not None
    detail = small_page.one("details", id="X3-torch")
    numbers = {div.one("dt").text: div.one("dd").text for div in detail.one("dl").all("div")}
    assert numbers == {
        "got": f"{number(c.finding['got'])} at [0, 1]",
        "expected": number(c.finding["expected"]),
        "allowed": f"{c.finding['allowed']:.3g}",
        "error": "5e+04 times the allowed (1.51e+03 ulp)",
    }
    case, again, script = (pre.text for pre in detail.all("pre"))
    assert "f32[2,2] [[0, 1.5], [0.25, 1.25]]" in case
    assert again == c.again
    assert script == c.script
    assert "training on an empty batch behaves as declared" in detail.text
    assert "Known bug, seen with torch==2.13.0: counts an empty batch" in detail.text
    assert [a.attributes["href"] for a in detail.all("a")] == [LINK, "#matrix"]


def test_new_findings_come_before_known_ones(small_page: Node) -> None:
    """Broken cells that are not on the ledger come first."""
    broken = small_page.one("section", id="broken")
    ids = [d.attributes["id"] for d in broken.all("details") if "id" in d.attributes]
    assert ids == ["F1-_script_alert_1_script_", "X3-torch", "X3-flax.linen"]


def test_only_the_page_itself_brings_elements(small_page: Node) -> None:
    """Names, reasons, notes and scripts that look like markup show as text everywhere."""
    (script,) = small_page.all("script")
    assert script.text.startswith('"use strict"')
    told = small_page.text
    assert told.count(SCRIPT_NAME) >= 5  # head of the matrix, broken cell, conventions, converter, remarks
    assert "print('<b>')" in told
    assert "runs in an <b>interpreter</b>" in told
    assert not list(small_page.all("i", id="x"))
    assert [b.text for b in small_page.one("dl", **{"class": "remarks"}).all("b")] == []


@pytest.mark.parametrize(
    "text", ['"><img src=x onerror=alert(1)>', "' onfocus=alert(1) '", "</script><script>alert(1)//"]
)
def test_no_text_of_a_record_becomes_markup(text: str) -> None:
    """No text of a record adds an element or an attribute to the page."""

    def record(word: str) -> Results:
        c = broken("F1", word, reason=word, again=word, script=word, known=dict.fromkeys(("kind", "reason"), word))
        assert c.finding is not None
        assert c.known is not None
        c.known["versions"] = c.known["link"] = word
        c.finding.update(quantity=word, problem=word)
        failed = {"kind": "length", "at": 2.0, "worst": {}, "error": word}
        return run(
            [c, cell("F1", "b", "not claimed", reason=word)],
            versions={word: word},
            machine=word,
            profile=word,
            implementations={word: {word: word}, "b": {}},
            not_run={word + "c": word},
            notes={word: word},
            requirements={"F1": {"level": "core", "statement": word}},
            measures={word: {"dtype": word, "points": [failed, *small().measures["torch"]["points"]]}},
            identities={word: {**small().identities["torch"], "answers": [dict.fromkeys(FIELDS, word)]}},
        )

    def shape(root: Node) -> list[tuple[str, list[str]]]:
        return [(node.tag, sorted(node.attributes)) for node in root.all()]

    assert shape(parsed(made(record(text)))) == shape(parsed(made(record("word"))))


FIELDS = ("field", "value", "word", "claimed", "evidence")


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//example.org"])
def test_link_that_is_no_web_address_is_not_a_link(link: str) -> None:
    """Only upstream links with http or https can be followed."""
    known = {"kind": "bug", "reason": "r", "versions": "v", "link": link}
    root = parsed(made(run([broken("F1", "torch", known=known)]))).one("section", id="broken")
    assert all(a.attributes["href"].startswith("#") for a in root.all("a"))


@pytest.mark.parametrize("results", [small, large])
def test_every_link_leads_somewhere(results: Any) -> None:
    """Ids are unique, and every link and reference inside the page has its target."""
    root = parsed(made(results()))
    ids = [node.attributes["id"] for node in root.all() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    for node in root.all():
        if node.attributes.get("href", "").startswith("#"):
            assert node.attributes["href"][1:] in ids
        if "aria-labelledby" in node.attributes:
            assert node.attributes["aria-labelledby"] in ids


def test_names_that_look_alike_have_anchors_of_their_own() -> None:
    """Two implementations whose names give the same anchor get different ids."""
    root = parsed(made(run([broken("F1", "a b"), broken("F1", "a/b")])))
    found = squares(root)
    for name in ("a b", "a/b"):
        anchor = found["F1", name].one("a").attributes["href"][1:]
        assert name in next(root.one("details", id=anchor).all("summary")).text


def test_page_needs_nothing_else(small_page: Node) -> None:
    """No element loads anything, and the page forbids it."""
    for node in small_page.all():
        assert not set(LOADS) & set(node.attributes), node.tag
        assert node.tag not in ("link", "iframe", "object", "embed", "img", "base")
    style = small_page.one("style").text
    assert "url(" not in style
    assert "@import" not in style
    policy = next(m for m in small_page.all("meta") if m.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.attributes["content"].startswith("default-src 'none'; ")


@pytest.mark.parametrize("every", [3, 6, 40])
def test_page_with_45_implementations_is_under_2_mb(every: int) -> None:
    """However many cells are broken, the page stays small; with few, all of their scripts are on it."""
    results = large(every=every)
    text = made(results)
    assert len(text.encode()) < 2_000_000
    count = sum(c.verdict == "breaks" for c in results.cells)
    scripts = text.count('class="script"')
    assert scripts == count if every == 40 else scripts < count


def test_every_family_of_laws_has_a_name() -> None:
    """A family that is added to the catalogue is named in the filter."""
    assert {id[0] for id in BY_ID} <= set(FAMILIES)


def test_headers_of_the_matrix_have_their_scope(small_page: Node) -> None:
    """Every header of a table says whether it is of a row or of a column."""
    for th in small_page.all("th"):
        assert th.attributes["scope"] in ("col", "row", "rowgroup", "colgroup")


def test_row_of_one_that_is_alone_is_marked() -> None:
    """A law that a single implementation breaks is marked, and counted for the order."""
    cells = [broken("F1", "a"), cell("F1", "b"), cell("F1", "c"), cell("F2", "a")]
    rows = list(parsed(made(run(cells))).one("table", id="grid").one("tbody").all("tr"))
    assert [row.attributes["data-a"] for row in rows] == ["1", "0"]
    assert [len(list(row.all("i"))) for row in rows] == [1, 0]


def test_conventions_list_implementations_by_answer(small_page: Node) -> None:
    """Each answer lists its implementations, marks those that claim otherwise, and disagreements come first."""
    section = small_page.one("section", id="conventions")
    first = next(section.all("tbody"))
    rows = [[td.text for td in row.all("td")] for row in first.all("tr")]
    assert first.one("th").text == "momentum weighs"
    assert sorted(rows) == [["new", f"torch, {SCRIPT_NAME}"], ["old", "flax.linen, keras.tensorflow"]]
    fields = [tbody.one("th").text for tbody in section.all("tbody")]
    disagreed = ["momentum weighs", "stored variance", "default eps", "axis of the channels"]
    assert fields == [*disagreed, "grade of arithmetic"]
    assert "flax.linen differs" in section.text
    assert "torch differs" not in section.text


def test_converter_has_every_ordered_pair(small_page: Node) -> None:
    """For any two implementations, either they are of one kind, or one row says what to change."""
    kinds = [li.text.split(", ") for li in small_page.one("ol", **{"class": "kinds"}).all("li")]
    found = {}
    for row in small_page.one("table", id="moves").one("tbody").all("tr"):
        source, target, change = (td.text for td in row.all("td"))
        ends = [int(row.attributes[f"data-{end}"]) for end in ("from", "to")]
        assert [source, target] == [f"{end + 1}: {', '.join(kinds[end])}" for end in ends]
        found |= {(a, b): change for a in kinds[ends[0]] for b in kinds[ends[1]]}
    names = ["torch", "flax.linen", "keras.tensorflow", SCRIPT_NAME]
    same = {("torch", SCRIPT_NAME), (SCRIPT_NAME, "torch")}
    assert set(found) == {(a, b) for a in names for b in names if a != b} - same
    assert "momentum = 1 - momentum" in found["torch", "flax.linen"]
    assert "running_var *= (n - 1) / n" in found["torch", "flax.linen"]
    assert "running_var *= n / (n - 1)" in found["flax.linen", "torch"]
    assert "give eps, the default is 0.001" in found["flax.linen", "keras.tensorflow"]
    assert "momentum and statistics as they are" in found["flax.linen", "keras.tensorflow"]
    assert "channels: axis 1, then the last" in found["torch", "flax.linen"]
    assert "channels" not in found["flax.linen", "keras.tensorflow"].replace("values per channel", "")


def test_converter_has_words_for_every_dialect() -> None:
    """The converter has words for every two choices on one value per channel and on an empty batch."""
    hints = get_type_hints(Dialect)
    choices = list(product(get_args(hints["one_value"]), get_args(hints["empty_batch"])))
    identities = {
        f"kernel{i}": identity(f"kernel{i}", Dialect(one_value=one, empty_batch=empty))
        for i, (one, empty) in enumerate(choices)
    }
    found = merge(run([cell("F1", name) for name in identities], identities=identities))
    told = {(move.source.names[0], move.target.names[0]): " ".join(move.steps) for move in moves(found)}
    assert len(told) == len(choices) * (len(choices) - 1)
    for (a, (one_a, empty_a)), (b, (one_b, empty_b)) in permutations(zip(identities, choices, strict=True), 2):
        assert ("one value per channel" in told[a, b]) == (one_a != one_b)
        assert ("an empty batch" in told[a, b]) == (empty_a != empty_b)


def test_record_without_dialects_says_how_to_get_them() -> None:
    """If no dialect was measured, the page says what to do."""
    root = parsed(made(run([cell("F1", "torch")])))
    assert "--bn-identify" in root.one("section", id="conventions").text
    assert not list(root.all("table", id="moves"))
