"""The page in a real browser, headless Chromium, without a window or a driver: only what it prints and draws."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import cache
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sample_runs import SCRIPT_NAME, broken, large, merge, run, small

from bnconform_reports.html_page import page
from bnconform_reports.records.schema import Results

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


@cache
def text_of(results: Callable[[], Results]) -> str:
    """The page of a record."""
    return page(merge(results()))


def browse(address: str, folder: Path, *options: str) -> tuple[str, str]:
    """Open an address; return what Chromium printed, and its log."""
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--enable-logging=stderr", "--v=0", "--virtual-time-budget=4000", *options, address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def console(log: str) -> list[str]:
    """Lines that pages wrote to the console, errors and refused requests included."""
    return [line for line in log.splitlines() if "CONSOLE" in line]


def played(folder: Path, actions: str, text: str | None = None, hash: str = "") -> dict[str, object]:
    """Run JavaScript in the page after its own; return its result.

    The page allows no script but its own, so the policy of this copy allows the test's, too.
    """
    text = text or text_of(small)
    text = re.sub("script-src '[^']*'", "script-src 'unsafe-inline'", text)
    test = f"""<script>
addEventListener("load", () => setTimeout(async () => {{
  const key = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", {{key, bubbles: true}}));
  const choose = (id, value) => {{
    const select = document.getElementById(id);
    select.value = value;
    select.dispatchEvent(new Event("change"));
  }};
  const shown = () => [...document.querySelectorAll("#grid tbody tr")].filter((row) => !row.hidden);
  const ids = () => shown().map((row) => row.querySelector("b").textContent);
  const heads = () => [...document.querySelectorAll("#grid thead th")].slice(1).filter((th) => !th.hidden)
    .map((th) => th.textContent.trim());
  let answer;
  try {{ answer = await (async () => {{ {actions} }})(); }} catch (error) {{ answer = {{ error: String(error) }}; }}
  const told = document.createElement("pre");
  told.id = "answer";
  told.textContent = JSON.stringify(answer);
  document.body.append(told);
}}, 100));
</script></body>"""
    (folder / "played.html").write_text(text.replace("</body>", test), encoding="utf-8")
    out, _ = browse((folder / "played.html").as_uri() + hash, folder, "--dump-dom")
    found = re.search(r'<pre id="answer">(.*?)</pre>', out, re.DOTALL)
    assert found, out[-500:]
    answer = json.loads(unescape(found[1]))
    assert isinstance(answer, dict)
    return answer


class _Server(ThreadingHTTPServer):
    """Serves one page, and records all other requests."""

    page = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.page)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    """A server of one page."""
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("results", [small, large])
def test_page_runs_without_a_word_on_the_console(results: Callable[[], Results], tmp_path: Path) -> None:
    """Opened from disk, the page's own script runs, nothing is refused or fails, and no text of a record runs."""
    (tmp_path / "index.html").write_text(text_of(results), encoding="utf-8")
    out, log = browse((tmp_path / "index.html").as_uri(), tmp_path, "--dump-dom")
    assert console(log) == []
    assert re.search(r'<output id="shown">\d+ of \d+ laws', out), "the script ran"


def test_console_is_looked_at(tmp_path: Path) -> None:
    """An error on the page, or a request that it forbids, would be seen."""
    text = text_of(small)
    (tmp_path / "fails.html").write_text("<script>fail()</script>")
    (tmp_path / "asks.html").write_text(text.replace("<main>", '<main><img src="http://127.0.0.1:9/x.png">'))
    for name in ("fails.html", "asks.html"):
        _, log = browse((tmp_path / name).as_uri(), tmp_path, "--dump-dom")
        assert len(console(log)) == 1


def test_no_request_leaves_the_page(server: _Server, tmp_path: Path) -> None:
    """Served over HTTP, nothing but the page itself is asked for; the browser's own favicon is forbidden as well."""
    server.page = text_of(small).encode()
    browse(f"http://127.0.0.1:{server.server_port}/", tmp_path, "--dump-dom")
    assert server.asked == ["/"]


def test_arrows_walk_the_matrix_and_tell_each_cell(tmp_path: Path) -> None:
    """Tab stops at one cell; arrows move to its neighbours, past empty cells, and the page describes the cell."""
    answer = played(
        tmp_path,
        """
        const stops = [...document.querySelectorAll('#grid td > [tabindex="0"]')];
        stops[0].focus();
        key(document.activeElement, "ArrowRight");
        const right = document.activeElement.title;
        key(document.activeElement, "ArrowDown");
        const below = document.activeElement.title;
        key(document.activeElement, "ArrowLeft");
        key(document.activeElement, "ArrowLeft");
        return { stops: stops.length, first: stops[0].title, right, below, left: document.activeElement.title,
                 told: document.getElementById("told").value,
                 after: document.querySelectorAll('#grid td > [tabindex="0"]').length };
        """,
    )
    assert (answer["stops"], answer["after"]) == (1, 1)
    titles = [str(answer[name]).partition(":")[0] for name in ("first", "right", "below", "left")]
    assert titles == ["F1 torch", "F1 flax.linen", "S1 flax.linen", "S1 torch"]
    assert str(answer["told"]).startswith(str(answer["left"]))
    assert "the running statistics become (1 - m) old + m new" in str(answer["told"])


def test_filters_narrow_the_matrix(tmp_path: Path) -> None:
    """Framework, laws and verdict narrow rows and columns together; the button shows all again."""
    answer = played(
        tmp_path,
        """
        const all = { ids: ids(), heads: heads() };
        choose("by-framework", "torch");
        const torch = { ids: ids(), heads: heads() };
        choose("by-framework", "");
        choose("by-family", "X");
        const family = { ids: ids(), heads: heads() };
        choose("by-family", "");
        choose("by-verdict", "k");
        const known = { ids: ids(), heads: heads(), told: document.getElementById("shown").value };
        document.querySelector("#matrix button").click();
        await new Promise((done) => setTimeout(done, 50));
        return { all, torch, family, known, again: { ids: ids(), heads: heads() } };
        """,
    )
    names = ["torch", "flax.linen", "keras.tensorflow", SCRIPT_NAME]
    every = ["F1", "S1", "G7", "N1", "N3", "X3", "P1"]
    assert answer["all"] == answer["again"] == {"ids": every, "heads": names}
    assert answer["torch"] == {"ids": every, "heads": ["torch"]}
    assert answer["family"] == {"ids": ["X3"], "heads": names}
    assert answer["known"] == {
        "ids": ["X3"],
        "heads": ["torch", "flax.linen"],
        "told": "1 of 7 laws, 2 of 4 implementations",
    }


def test_order_brings_the_telling_rows_first(tmp_path: Path) -> None:
    """Rows can be sorted by laws with one that is alone in failing, by broken cells, and by the catalogue's order."""
    answer = played(
        tmp_path,
        """
        choose("order", "b");
        const broken = ids();
        choose("order", "a");
        const alone = ids();
        choose("order", "i");
        return { broken, alone, back: ids() };
        """,
    )
    assert answer == {
        "broken": ["X3", "F1", "S1", "G7", "N1", "N3", "P1"],
        "alone": ["F1", "S1", "G7", "N1", "N3", "X3", "P1"],
        "back": ["F1", "S1", "G7", "N1", "N3", "X3", "P1"],
    }


def test_link_to_a_broken_cell_opens_it(tmp_path: Path) -> None:
    """A cell's link, and an address that ends in it, open the details of the cell and set the focus there."""
    actions = """
        const opened = document.getElementById("X3-torch");
        const before = opened.open;
        document.querySelector('#grid a[href="#X3-torch"]').click();
        await new Promise((done) => setTimeout(done, 100));
        return { before, after: opened.open, focus: document.activeElement.parentElement.id };
        """
    assert played(tmp_path, actions) == {"before": False, "after": True, "focus": "X3-torch"}
    assert played(tmp_path, actions, hash="#X3-torch")["before"] is True


def test_link_to_a_case_opens_all_that_it_lies_in(tmp_path: Path) -> None:
    """The mark on a curve opens the case of its worst point, which lies in a list that is closed at first."""
    actions = """
        const mark = document.querySelector('#drift svg a');
        const opened = document.getElementById(mark.getAttribute("href").slice(1));
        const visible = () => opened.firstElementChild.checkVisibility();
        const before = visible();
        mark.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
        location.hash = mark.getAttribute("href");
        await new Promise((done) => setTimeout(done, 100));
        const focus = document.activeElement.parentElement === opened;
        return { before, after: visible() && opened.open, focus };
        """
    assert played(tmp_path, actions) == {"before": False, "after": True, "focus": True}


def test_link_to_a_cell_of_a_shared_cause_opens_it(tmp_path: Path) -> None:
    """The matrix also links to a known deviation that is inside the group of its cause."""
    known = {"kind": "bug", "reason": "shared", "versions": "v"}
    text = page(merge(run([broken("S9", name, known=known) for name in ("a", "b")])))
    actions = """
        document.querySelector('#grid a[href="#S9-b"]').click();
        await new Promise((done) => setTimeout(done, 100));
        const told = document.getElementById("S9-b");
        return { seen: told.querySelector("pre").checkVisibility(), focus: document.activeElement.parentElement.id };
        """
    assert played(tmp_path, actions, text) == {"seen": True, "focus": "S9-b"}


def test_copy_gives_the_script(tmp_path: Path) -> None:
    """The button copies the script's exact text, whether or not the browser gives the page a clipboard."""
    answer = played(
        tmp_path,
        """
        const detail = document.getElementById("X3-torch");
        detail.open = detail.closest(".cause").open = detail.querySelector("details").open = true;
        const button = detail.querySelector(".script button");
        let copied = "";
        const clipboard = { writeText: async (text) => { copied = text; } };
        Object.defineProperty(navigator, "clipboard", { value: clipboard, configurable: true });
        button.click();
        await new Promise((done) => setTimeout(done, 50));
        const first = copied, label = button.textContent;
        Object.defineProperty(navigator, "clipboard", { value: undefined, configurable: true });
        document.execCommand = () => { copied = "selected: " + getSelection().toString(); return true; };
        button.click();
        await new Promise((done) => setTimeout(done, 50));
        return { first, label, second: copied };
        """,
    )
    script = "# shows X3\nprint('<b>')\n"
    assert answer["first"] == script
    assert answer["label"] == "Copied"
    assert str(answer["second"]).strip() == f"selected: {script}".strip()


def test_converter_shows_one_pair(tmp_path: Path) -> None:
    """Two implementations chosen leave the one row of their kinds; of one kind, none, and the page says why."""
    answer = played(
        tmp_path,
        """
        const option = (id, name) => [...document.getElementById(id).options].find((o) => o.text === name).value;
        const rows = () => [...document.querySelectorAll("#moves tbody tr")].filter((row) => !row.hidden).length;
        const all = rows();
        choose("from", option("from", "torch"));
        const from = rows();
        choose("to", option("to", "keras.tensorflow"));
        const pair = rows();
        choose("to", option("to", "torch"));
        return { all, from, pair, same: rows(), told: document.getElementById("moved").value };
        """,
    )
    assert answer == {
        "all": 6,
        "from": 2,
        "pair": 1,
        "same": 0,
        "told": "one kind: momentum, statistics and eps as they are",
    }


@pytest.mark.parametrize("results", [small, large])
def test_page_does_not_scroll_sideways(results: Callable[[], Results], tmp_path: Path) -> None:
    """At either width only the matrix and tables scroll sideways, in boxes of their own, never the page."""
    widths = (1280, 400)
    (tmp_path / "index.html").write_text(text_of(results), encoding="utf-8")
    frames = [f'<iframe src="index.html" style="width:{width}px;height:900px;border:0"></iframe>' for width in widths]
    (tmp_path / "frames.html").write_text(
        f'{"".join(frames)}<pre id="answer"></pre>'
        "<script>addEventListener('load', () => {"
        "const inside = [...document.querySelectorAll('iframe')].map((one) => one.contentDocument.documentElement);"
        "const answer = inside.map((one) => [one.scrollWidth, one.clientWidth]);"
        "document.getElementById('answer').textContent = JSON.stringify(answer); });</script>"
    )
    out, _ = browse((tmp_path / "frames.html").as_uri(), tmp_path, "--dump-dom", "--allow-file-access-from-files")
    found = re.search(r'<pre id="answer">(.*?)</pre>', out)
    assert found, out
    for (scrolled, shown), width in zip(json.loads(found[1]), widths, strict=True):
        assert scrolled <= shown <= width
