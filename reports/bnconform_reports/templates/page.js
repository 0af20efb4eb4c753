"use strict";
const one = (selector) => document.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
for (const hidden of all("form.filters, button.copy")) hidden.hidden = false;

// The matrix: one stop of the Tab key, arrows inside.
const grid = one("#grid");
const body = grid.tBodies[0];
const inner = (td) => td && !td.hidden && td.firstElementChild;
for (const cell of all("td > *", body)) cell.tabIndex = -1;
function stop(cell) {
  for (const other of all('td > [tabindex="0"]', body)) other.tabIndex = -1;
  if (cell) cell.tabIndex = 0;
}
function tell(target) {
  const cell = target.closest && target.closest("td > *");
  if (cell) one("#told").value = `${cell.title}. The law: ${cell.closest("tr").cells[0].children[1].textContent}`;
  return cell;
}
grid.addEventListener("mouseover", (event) => tell(event.target));
grid.addEventListener("focusin", (event) => stop(tell(event.target) || one('#grid td > [tabindex="0"]')));
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
grid.addEventListener("keydown", (event) => {
  const move = ARROWS[event.key];
  const td = event.target.closest("td");
  if (!move || !td) return;
  event.preventDefault();
  const rows = [...body.rows];
  let row = rows.indexOf(td.parentElement), column = td.cellIndex;
  for (;;) {
    row += move[0];
    column += move[1];
    const next = rows[row] && column > 0 && rows[row].cells[column];
    if (!next) return;
    if (!rows[row].hidden && inner(next)) return inner(next).focus();
  }
});

// Filters: what has no cell of the verdict, family or framework is hidden.
const heads = [...grid.tHead.rows[0].cells];
function filter() {
  const framework = one("#by-framework").value, family = one("#by-family").value, verdict = one("#by-verdict").value;
  const inRow = (row) => !family || row.dataset.g === family;
  const rows = [...body.rows];
  const wanted = heads.map((head, i) => i > 0 && (!framework || head.dataset.f === framework));
  const has = (row, i) => !verdict || row.cells[i].className === verdict;
  const columns = wanted.map((yes, i) => yes && rows.some((row) => inRow(row) && has(row, i)));
  let shown = 0;
  for (const row of rows) {
    row.hidden = !(inRow(row) && columns.some((yes, i) => yes && has(row, i)));
    shown += !row.hidden;
    for (let i = 1; i < heads.length; i++) row.cells[i].hidden = !columns[i];
  }
  heads.forEach((head, i) => (head.hidden = i > 0 && !columns[i]));
  grid.dataset.only = verdict;
  const count = columns.filter(Boolean).length;
  one("#shown").value = `${shown} of ${rows.length} laws, ${count} of ${heads.length - 1} implementations`;
  stop(all("td > *", body).find((cell) => inner(cell.parentElement) && !cell.closest("tr").hidden));
}
function order() {
  const by = one("#order").value;
  const rows = [...body.rows].sort((a, b) => (by === "i" ? 0 : b.dataset[by] - a.dataset[by]) || a.dataset.i - b.dataset.i);
  grid.classList.toggle("sorted", by !== "i");
  body.append(...rows);
}
for (const select of all("#matrix select")) select.addEventListener("change", () => { order(); filter(); });
one("#matrix form").addEventListener("reset", () => setTimeout(() => { order(); filter(); }));
filter();

// The converter.
function moved() {
  const from = one("#from").value, to = one("#to").value;
  let shown = 0;
  for (const row of one("#moves").tBodies[0].rows) {
    row.hidden = Boolean((from && row.dataset.from !== from) || (to && row.dataset.to !== to));
    shown += !row.hidden;
  }
  one("#moved").value = shown ? "" : "one kind: momentum, statistics and eps as they are";
}
if (one("#moves")) for (const select of all("#from, #to")) select.addEventListener("change", moved);

// A link to a broken cell or a case opens it; paper shows all.
function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const inner = target && target.closest("details");
  if (!inner) return;
  for (let outer = inner; outer; outer = outer.parentElement.closest("details")) outer.open = true;
  target.scrollIntoView();
  if (inner === target) target.firstElementChild.focus({ preventScroll: true });
}
addEventListener("hashchange", open);
open();
for (const link of all('#grid a[href^="#"], figure a[href^="#"]')) link.addEventListener("click", () => setTimeout(open));
let closed = [];
addEventListener("beforeprint", () => {
  closed = all("details:not([open]):not(.script):not(.worst)");
  for (const detail of closed) detail.open = true;
});
addEventListener("afterprint", () => { for (const detail of closed) detail.open = false; });

// Copy, also where a browser gives no clipboard to a file.
async function copy(button) {
  const pre = button.nextElementSibling;
  let done = false;
  try {
    await navigator.clipboard.writeText(pre.textContent);
    done = true;
  } catch {
    getSelection().selectAllChildren(pre);
    done = document.execCommand("copy");
  }
  button.textContent = done ? "Copied" : "Press Ctrl+C";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}
for (const button of all("button.copy")) button.addEventListener("click", () => copy(button));
