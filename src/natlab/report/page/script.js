"use strict";
// The page reads without this: it sorts tables, folds rows, copies, and shows what a value was measured of.
globalThis.natlab = {};

natlab.json = (id) => JSON.parse(document.getElementById(id).textContent);

natlab.element = (tag, text = "", attributes = {}) => {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

// a file beside the page, which runs itself: pages opened from a disk may read no other
natlab.load = (src, then) => {
  const script = natlab.element("script", "", { src });
  script.onload = () => then(true);
  script.onerror = () => then(false);
  document.head.append(script);
};

// rows of a group, by a column; once more, the other way round
natlab.sort = (head) => {
  const table = head.closest("table");
  const column = head.cellIndex;
  const descending = head.getAttribute("aria-sort") !== "descending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const valued = (row) => {
    const cell = row.cells[column];
    if (column === 0) return cell.textContent;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const before = (a, b) => {
    const [x, y] = [valued(a), valued(b)];
    if (x === null || y === null) return (x === null) - (y === null); // what has no value stands last
    return (x < y ? 1 : x > y ? -1 : 0) * (descending ? 1 : -1);
  };
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => row.cells.length > 1);
    for (const row of rows.sort(before)) body.append(row);
  }
};

natlab.fold = (button) => {
  const folded = document.getElementById(button.dataset.fold).classList.toggle("folded");
  button.setAttribute("aria-pressed", String(!folded));
};

natlab.copy = async (button) => {
  const text = natlab.json("copies")[button.dataset.of][button.dataset.copy];
  const said = button.dataset.said ??= button.textContent; // its own text, also when pressed again meanwhile
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed to copy";
  }
  setTimeout(() => { button.textContent = said; }, 1500);
};

natlab.evidence = (button) => {
  const { texts, readings, cells } = natlab.json("evidence");
  const dialog = document.getElementById("origin");
  const shown = document.getElementById("origin-shown");
  const [table, row, column] = button.dataset.at.split("|");
  shown.replaceChildren(natlab.element("h2", button.getAttribute("title") ?? button.textContent));
  shown.append(natlab.element("p", button.textContent, { class: "lead" }));
  const names = ["Dataset", "System", "Decoding", "Split", "Metric", "Sentences", "Signature", "Model", "Commit", "Device", "File"];
  for (const number of cells[table][`${row}|${column}`]) {
    const { seeds, of } = readings[number];
    const facts = natlab.element("table", "", { class: "facts" });
    const line = (name, text) => {
      const made = facts.insertRow();
      made.append(natlab.element("th", name, { scope: "row" }), natlab.element("td", text));
    };
    of.forEach((text, place) => { if (texts[text]) line(names[place], texts[text]); });
    for (const [seed, value] of Object.entries(seeds)) line(`Seed ${seed}`, String(value));
    shown.append(facts);
  }
  dialog.showModal();
};

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  if (button.classList.contains("sort")) natlab.sort(button.closest("th"));
  else if (button.dataset.fold) natlab.fold(button);
  else if (button.dataset.copy) natlab.copy(button);
  else if (button.dataset.at) natlab.evidence(button);
  else if (button.classList.contains("close")) button.closest("dialog").close();
});

// what a link leads to may be folded away
const reveal = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let around = target?.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
  target?.scrollIntoView();
};
window.addEventListener("hashchange", reveal);
if (location.hash) reveal();

// where there is room the contents stand open beside the page
const contents = document.querySelector(".contents details");
if (contents && window.matchMedia("(min-width: 70rem)").matches) contents.open = true;

const curves = document.getElementById("curves-model");
if (curves) {
  const picture = document.getElementById("curves-picture");
  const absent = document.getElementById("curves-absent");
  const show = () => {
    absent.hidden = true;
    picture.hidden = false;
    picture.alt = `Training curves of ${curves.selectedOptions[0].textContent}`;
    picture.src = curves.value;
  };
  picture.addEventListener("error", () => { picture.hidden = true; absent.hidden = false; });
  curves.addEventListener("change", show);
  curves.closest("details").addEventListener("toggle", show, { once: true });
}
