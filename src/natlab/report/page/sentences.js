// The browser over test sets: fills the section "sentences" from sentences/<dataset>.js, which puts its data at
// natlab.sentences[dataset]. Texts of the corpus become text nodes only.
"use strict";
(() => {
  const section = document.getElementById("sentences");
  if (!section?.querySelector(".s-controls")) return;
  const at = Object.fromEntries(
    ["controls", "dataset", "order", "by-a", "a", "by-b", "b", "swap", "only", "find", "several", "against", "missing",
      "choice", "name", "usual", "none", "picks", "status", "list", "pages", "page", "to-first", "to-previous",
      "to-next", "to-last"]
      .map((name) => [name, section.querySelector(`.s-${name}`)]));
  const PAGE = 20; // sentences
  let data = null; // of the dataset that is shown
  let shown = []; // numbers of its outputs
  let found = []; // numbers of its sentences, in the order asked for
  let page = 0;

  function element(name, className, ...children) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  const words = (text) => text.split(" ").filter(Boolean);
  const named = (output) => `${output.system} (${output.decoding})`;
  const number = (value) => (value == null ? "–" : value.toFixed(1).replace("-", "−"));
  const text = (sentence, output) => sentence.texts[sentence.said[output]];
  const score = (sentence, output) => sentence.scores?.[sentence.said[output]] ?? null;
  const allowed = (sentence, output) => sentence.allowed?.[sentence.said[output]] ?? null;
  const repeats = (line) => words(line).some((word, place, all) => word === all[place - 1]);

  // What turns the reference into an output: [word, kind] with kind "same", "other" (the output's) or "missing" (the
  // reference's), along a longest common subsequence.
  function difference(output, reference) {
    const [n, m] = [output.length, reference.length];
    const longest = Array.from({ length: n + 1 }, () => new Uint16Array(m + 1)); // of what follows
    for (let i = n - 1; i >= 0; i--)
      for (let j = m - 1; j >= 0; j--)
        longest[i][j] = output[i] === reference[j]
          ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    const steps = [];
    for (let i = 0, j = 0; i < n || j < m;) {
      if (i < n && j < m && output[i] === reference[j]) { steps.push([output[i++], "same"]); j++; }
      else if (i < n && (j === m || longest[i + 1][j] >= longest[i][j + 1])) steps.push([output[i++], "other"]);
      else steps.push([reference[j++], "missing"]);
    }
    return steps;
  }

  // A text with its differences to the reference, or the nearest one, and its repetitions marked.
  function marked(line, references) {
    const made = element("span", "s-text");
    if (data.languages) made.lang = data.languages.tgt;
    if (!line) made.append(element("span", "s-soft", "nothing"));
    const further = at.against.value === "nearest" ? references.slice(1).filter(Boolean) : [];
    const against = [references[0], ...further];
    const differences = against.map((reference) => difference(words(line), words(reference)));
    const changes = differences.map((steps) => steps.filter(([, kind]) => kind !== "same").length);
    let before = null;
    for (const [word, kind] of differences[changes.indexOf(Math.min(...changes))]) {
      if (kind === "missing" && !at.missing.checked) continue;
      if (made.hasChildNodes()) made.append(" ");
      const repeated = kind !== "missing" && word === before;
      if (kind !== "missing") before = word;
      const inner = repeated ? element("mark", "", word) : word;
      made.append(kind === "same" ? inner : element(kind === "other" ? "ins" : "del", "", inner));
    }
    return made;
  }

  function plain(line, language) {
    const made = element("span", "s-text", line);
    if (language) made.lang = language;
    return made;
  }

  function known(sentence, place) {
    const made = [];
    const value = sentence.scores?.[place];
    if (value != null) made.push(element("span", "s-score", `${data.score} ${number(value)}`));
    const possible = sentence.allowed?.[place];
    if (possible != null)
      made.push(element("span", possible ? "s-yes" : "s-no", possible ? "✓ P allows it" : "✗ P does not allow it"));
    return made.length ? [element("span", "s-known", ...made)] : [];
  }

  // A table that is folded away.
  function table(title, heads, rows) {
    const line = (cell, values) => element("tr", "", ...values.map((value) => element(cell, "", value)));
    const made = element("div", "scroll",
      element("table", "s-table", element("thead", "", line("th", heads)),
        element("tbody", "", ...rows.map((row) => line("td", row)))));
    made.tabIndex = 0; // it scrolls by keys, too
    made.setAttribute("role", "region");
    made.setAttribute("aria-label", title);
    return element("details", "s-more", element("summary", "", title), made);
  }

  // What decodings found beside what they say, with the model's scores.
  function hypotheses(sentence) {
    return shown.filter((output) => sentence.hypotheses?.[output]).map((output) =>
      table(`The best hypotheses of ${named(data.outputs[output])}`, ["model's score", "hypothesis"],
        sentence.hypotheses[output].map(([place, value]) =>
          [value.toFixed(3).replace("-", "−"), marked(sentence.texts[place], sentence.references)])));
  }

  function candidates(sentence) {
    if (!sentence.candidates) return [];
    const { names, gamma, systems } = data.candidates;
    const rows = sentence.candidates.map(([place, sum], which) => {
      const takers = systems.filter((_, index) => sentence.taken[index] === which);
      if (which === sentence.favoured) takers.unshift("the sum alone");
      return [names[which], String(gamma[which]), number(sum),
        marked(sentence.texts[place], sentence.references), takers.join(", ")];
    });
    const why = element("p", "s-soft", "T is the candidate of the least L_NAT(T) − β Σ γ S. The sum alone, of its "
      + "BLEU against all candidates weighed by γ, favours the one so marked, the first of equals. A system whose "
      + "trained model takes another finds that one likelier, by at least β times what its sum is smaller. L_NAT itself "
      + "is not kept, nor, where test has no further references, what models take. γ are those of the folder of "
      + "candidates; systems with others, or without the sum, stand beside.");
    const made = table("What dynamic KD chooses from", ["candidate", "γ", "Σ γ S", "target", "taken by"], rows);
    made.append(why);
    return [made];
  }

  // The graphs that shown systems make of a sentence: its vertices, and which of them are on the paths that are taken.
  function graphs(sentence) {
    const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}\u00a0%`; // no line ends before it
    const listed = (pairs) => pairs.filter(([, share], place) => !place || share >= 0.005)
      .map(([what, share]) => `${what}\u00a0(${percent(share)})`).join(", ");
    const systems = [...new Set(shown.map((output) => data.outputs[output].system))];
    return systems.filter((system) => sentence.graphs?.[system]).map((system) => {
      const { vertices, paths } = sentence.graphs[system];
      const on = Object.keys(vertices).map((vertex) =>
        Object.keys(paths).filter((strategy) => paths[strategy].includes(Number(vertex))));
      const made = table(`The graph of ${system}`, ["vertex", "says", "visited", "leads to", "on the path of"],
        Object.entries(vertices).map(([vertex, { words: said, visited, next }], row) =>
          [vertex, listed(said), percent(visited), listed(next), on[row].join(", ")]));
      made.querySelectorAll("tbody tr").forEach((row, place) => row.classList.toggle("s-on", on[place].length > 0));
      made.append(element("p", "s-soft", "Of each vertex the likeliest words, how many of the paths come by it, and "
        + "where it leads. Lookahead goes step by step, joint Viterbi finds the best path; vertices that hardly any "
        + "path comes by are left out."));
      return made;
    });
  }

  function entry(which) {
    const sentence = data.list[which];
    const rows = element("dl", "s-rows");
    const add = (className, name, ...children) =>
      rows.append(element("div", className, element("dt", "", ...name), element("dd", "", ...children)));
    add("s-given", ["source"], plain(sentence.source, data.languages?.src));
    for (const reference of new Set(sentence.references.filter(Boolean))) {
      const places = sentence.references.flatMap((other, index) => (other === reference ? [index + 1] : []));
      const name = sentence.references.length > 1 ? `reference ${places.join(", ")}` : "reference";
      add("s-given", [name], plain(reference, data.languages?.tgt));
    }
    for (const output of shown) {
      const { system, decoding } = data.outputs[output];
      add("s-said", [system, " ", element("span", "s-soft", `(${decoding})`)],
        marked(text(sentence, output), sentence.references), ...known(sentence, sentence.said[output]));
    }
    const heading = element("h3", "", `Sentence ${count(which + 1)}`);
    const gap = at.order.value === "gap" ? gapOf(sentence) : null;
    if (gap !== null) heading.append(element("span", "s-soft", ` A − B: ${number(gap)}`));
    return element("li", "", heading, rows, ...hypotheses(sentence), ...graphs(sentence),
      ...candidates(sentence));
  }

  function gapOf(sentence) {
    const [a, b] = [at.a, at.b].map((select) => score(sentence, Number(select.value)));
    return a === null || b === null ? null : a - b;
  }

  // The orders, as what sorts lowest first; what is not known comes last.
  const ORDERS = {
    source: (sentence, which) => which,
    longest: (sentence) => -words(sentence.source).length,
    shortest: (sentence) => words(sentence.source).length,
    worst: (sentence) => score(sentence, Number(at.a.value)),
    best: (sentence) => negative(score(sentence, Number(at.a.value))),
    gap: (sentence) => negative(gapOf(sentence)),
  };
  const negative = (value) => (value === null ? null : -value);

  const FILTERS = {
    all: () => true,
    differ: (sentence) => new Set(shown.map((output) => sentence.said[output])).size > 1,
    repeats: (sentence) => shown.some((output) => repeats(text(sentence, output))),
    refused: (sentence) => shown.some((output) => allowed(sentence, output) === false),
    allowed: (sentence) => shown.length > 0 && shown.every((output) => allowed(sentence, output) === true),
  };

  function search() {
    at["by-a"].hidden = !["worst", "best", "gap"].includes(at.order.value);
    at["by-b"].hidden = at.swap.hidden = at.order.value !== "gap";
    const wanted = at.find.value.trim().toLowerCase();
    const has = (line) => line.toLowerCase().includes(wanted);
    const passes = FILTERS[at.only.value];
    const key = ORDERS[at.order.value];
    const kept = [];
    data.list.forEach((sentence, which) => {
      if (passes(sentence) && (!wanted || has(sentence.source) || sentence.references.some(has)
        || shown.some((output) => has(text(sentence, output)))))
        kept.push([key(sentence, which) ?? Infinity, which]);
    });
    found = kept.sort(([one, first], [other, second]) => (one < other ? -1 : one > other ? 1 : first - second))
      .map(([, which]) => which);
    page = 0;
    show();
  }

  const count = (value) => value.toLocaleString("en");
  const lastPage = () => Math.max(0, Math.ceil(found.length / PAGE) - 1);

  function show() {
    const first = page * PAGE;
    const these = found.slice(first, first + PAGE);
    at.list.replaceChildren(...these.map(entry));
    const all = data.list.length < data.sentences
      ? `the first ${count(data.list.length)} of ${count(data.sentences)} sentences, which one file has room for`
      : `${count(data.sentences)} sentences`;
    at.status.textContent = found.length
      ? `${count(first + 1)} to ${count(first + these.length)} of ${count(found.length)} found in ${all}; `
        + `seed ${data.seed}.`
      : `None found in ${all}; seed ${data.seed}.`;
    at.page.textContent = `page ${count(page + 1)} of ${count(lastPage() + 1)}`;
    at.pages.hidden = lastPage() === 0;
    at["to-first"].disabled = at["to-previous"].disabled = page === 0;
    at["to-next"].disabled = at["to-last"].disabled = page === lastPage();
  }

  function turn(to) {
    page = to;
    show();
    at.status.focus({ preventScroll: true });
    at.status.scrollIntoView();
  }

  // The outputs shown, as A and B and in the list to choose from.
  function choose(outputs) {
    shown = outputs;
    for (const [select, usual] of [[at.a, 0], [at.b, 1]]) {
      const before = select.value;
      select.replaceChildren(...shown.map((output) => new Option(named(data.outputs[output]), output)));
      const kept = before !== "" && shown.includes(Number(before));
      select.value = kept ? before : shown[Math.min(usual, shown.length - 1)];
    }
    for (const box of at.picks.querySelectorAll("input")) box.checked = shown.includes(Number(box.value));
    at.choice.querySelector("summary").textContent =
      `Outputs shown: ${shown.length} of ${data.outputs.length}; choose others`;
    search();
  }

  function listOutputs() {
    const order = data.outputs.map((_, output) => output)
      .sort((one, other) => (data.outputs[other].score ?? -1) - (data.outputs[one].score ?? -1) || one - other);
    at.picks.replaceChildren(...order.map((output) => {
      const { score: value, allowed: share, repetition } = data.outputs[output];
      const box = element("input");
      box.type = "checkbox";
      box.value = output;
      const facts = [[`${data.score} `, value, ""], ["P allows ", share, " %"], ["repeats ", repetition, " %"]]
        .filter(([, fact]) => fact != null).map(([name, fact, unit]) => name + number(fact) + unit).join(" · ");
      return element("label", "", box, ` ${named(data.outputs[output])} `, element("span", "s-soft", facts));
    }));
  }

  function openDataset() {
    const dataset = at.dataset.value;
    const ready = () => {
      if (at.dataset.value !== dataset) return; // the reader has gone on
      data = globalThis.natlab.sentences[dataset];
      at.controls.hidden = false;
      at.name.value = at.find.value = "";
      at.a.replaceChildren();
      at.b.replaceChildren();
      const truth = data.outputs.some((output) => output.allowed !== null);
      for (const value of ["refused", "allowed"]) at.only.querySelector(`[value=${value}]`).hidden = !truth;
      for (const value of ["worst", "best", "gap"])
        at.order.querySelector(`[value=${value}]`).hidden = data.score === null;
      at.several.hidden = data.list.every((sentence) => sentence.references.length < 2);
      if (at.several.hidden) at.against.value = "first";
      if (at.only.selectedOptions[0].hidden) at.only.value = "all";
      if (at.order.selectedOptions[0].hidden) at.order.value = "source";
      listOutputs();
      choose(data.first);
    };
    if (globalThis.natlab?.sentences?.[dataset]) return ready();
    at.status.textContent = "Loading …";
    const script = element("script");
    script.src = `sentences/${encodeURIComponent(dataset)}.js`;
    script.onload = ready;
    script.onerror = () => {
      at.controls.hidden = at.dataset.length < 2; // there is nothing to choose but another dataset
      at.list.replaceChildren();
      at.status.textContent = `${script.getAttribute("src")} cannot be read: sentences lie beside this page and are not kept in `
        + "git. Those of a generated corpus natlab rebuild writes again, with the report's folder; others only a run does.";
    };
    document.head.append(script);
  }

  let waiting = null;
  at.find.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 150);
  });
  at.dataset.addEventListener("change", openDataset);
  for (const name of ["order", "a", "b", "only"]) at[name].addEventListener("change", search);
  at.swap.addEventListener("click", () => {
    [at.a.value, at.b.value] = [at.b.value, at.a.value];
    search();
  });
  for (const name of ["against", "missing"]) at[name].addEventListener("change", show);
  at.name.addEventListener("input", () => {
    const wanted = at.name.value.trim().toLowerCase();
    for (const label of at.picks.children) label.hidden = !label.textContent.toLowerCase().includes(wanted);
  });
  at.picks.addEventListener("change", (event) => {
    const output = Number(event.target.value);
    choose(event.target.checked ? [...shown, output] : shown.filter((other) => other !== output));
  });
  at.usual.addEventListener("click", () => choose(data.first));
  at.none.addEventListener("click", () => choose([]));
  at["to-first"].addEventListener("click", () => turn(0));
  at["to-previous"].addEventListener("click", () => turn(page - 1));
  at["to-next"].addEventListener("click", () => turn(page + 1));
  at["to-last"].addEventListener("click", () => turn(lastPage()));

  // data are large: they are loaded once a reader comes near
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((each) => each.isIntersecting)) return;
    observer.disconnect();
    openDataset();
  }, { rootMargin: "300px" }).observe(section);
})();
