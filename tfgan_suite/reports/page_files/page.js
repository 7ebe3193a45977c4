"use strict";

// What runs say is only ever shown as text: nothing here parses HTML.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const data = read("data"), pictures = read("pictures");
for (const one of data.configurations) one.label = `${one.method} ${one.details}`.trimEnd();
const find = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const hidden = new Set();  // rows that are switched off in the legend
let filtered = new Set();  // rows that the filter leaves out
const shown = (row) => !hidden.has(row) && !filtered.has(row);

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "text", "circle"].includes(tag);
  const node = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function swatch(row) {
  const node = make("span", { class: "swatch ink-of", "aria-hidden": "true" });
  node.style.background = data.configurations[row].colour;
  return node;
}

function breakable(text) {  // long names break after an underscore
  return text.split(/(?<=_)/).flatMap((part) => [part, document.createElement("wbr")]);
}

// Numbers for people

function number(value) {
  if (value === null) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) return value.toExponential(2);
  return value.toLocaleString("en", { maximumSignificantDigits: size >= 1e4 ? 9 : 4, maximumFractionDigits: 6 });
}
const whole = (value) => (value === null ? "–" : value.toLocaleString("en"));
function short(value) {
  const size = Math.abs(value);
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (size >= unit) return `${+(value / unit).toPrecision(3)} ${letter}`;
  return number(value);
}
function duration(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
const mean = (values) => (values.length ? values.reduce((a, b) => a + b) / values.length : null);

// Tables

const FACTS = [
  { title: "seeds", value: (c) => c.seeds.length, cell: (c) => [c.seeds.join(", ")] },
  { title: "steps", value: (c) => c.steps, cell: (c) => [whole(c.steps)] },
  { title: "images seen", value: (c) => c.seen, cell: (c) => [whole(c.seen)] },
  { title: "wall time", value: (c) => mean(c.seconds),
    cell: (c) => [c.seconds.length ? duration(mean(c.seconds)) : "–", c.seconds.length > 1 ? make("span", { class: "each" }, c.seconds.map((one) => duration(one).replace(" ", "\u00a0")).join(" · ")) : null] },
  { title: "parameters G", value: (c) => c.generator, cell: (c) => [whole(c.generator)] },
  { title: "parameters D", value: (c) => c.discriminator, cell: (c) => [whole(c.discriminator)] },
  { title: "hardware", text: true, value: (c) => c.hardware, cell: (c) => [c.hardware] },
];
const tables = [];
const at = () => Number(document.querySelector("input[name=at]:checked").value);

function label(row) {
  const configuration = data.configurations[row];
  const badge = configuration.finished ? null : make("span", { class: "badge" }, "unfinished");
  return make("th", { scope: "row" }, swatch(row), `${configuration.number} ${configuration.method} `,
    configuration.details ? make("span", { class: "sub" }, configuration.details) : null, badge);
}

function scoreCell(cell, best, row) {
  if (!cell) return make("td", {}, "–");
  const [value, spread, values, seeds, steps] = cell;
  const parts = [make("span", { class: "mean" }, number(value))];
  if (spread !== null) parts.push(make("span", { class: "spread" }, ` ± ${number(spread)}`));
  if (values.length > 1) parts.push(make("span", { class: "each" }, values.map(number).join(" · ")));
  if (seeds.length < data.configurations[row].seeds.length) parts.push(make("span", { class: "sub" }, `only seed ${seeds.join(", ")}`));
  if (at() === 1) parts.push(make("span", { class: "sub" }, `step ${steps.map(whole).join(", ")}`));
  return make("td", { class: best ? "best" : null, title: seeds.map((seed, i) => `seed ${seed}: ${values[i]}`).join("\n") }, ...parts);
}

function sectionTable(section, order) {
  const columns = section.columns.map((column, i) => ({
    title: column.metric, column,
    value: (c, scores) => (scores[i][at()] ? scores[i][at()][0] : null),
  }));
  const all = [{ title: "configuration", first: true, text: true, value: (c) => c.number }, FACTS[0], ...columns, ...FACTS.slice(1)];
  const table = make("table"), body = make("tbody");
  let key = 0, down = false;

  function draw() {
    const best = columns.map((c, i) => bestOf(section.rows.map(([row, scores]) => (filtered.has(row) ? null : c.value(null, scores))), section.columns[i].better));
    const rows = section.rows.filter(([row]) => !filtered.has(row));
    rows.sort(([a, s], [b, t]) => ordered(all[key].value(data.configurations[a], s), all[key].value(data.configurations[b], t), down));
    body.replaceChildren(...rows.map(([row, scores]) => make("tr", {}, label(row), ...all.slice(1).map((head) => {
      const i = columns.indexOf(head);
      if (i >= 0) return scoreCell(scores[i][at()], best[i] !== null && head.value(null, scores) === best[i], row);
      return make("td", { class: head.text ? "text" : null }, ...head.cell(data.configurations[row]).filter((x) => x !== null));
    }))));
    heads.forEach((node, i) => {
      if (i === key) node.setAttribute("aria-sort", down ? "descending" : "ascending"); else node.removeAttribute("aria-sort");
      node.querySelector(".mark").textContent = i === key ? (down ? "▾" : "▴") : "";
    });
  }
  const heads = all.map((head, i) => {
    const arrow = { higher: " ↑", lower: " ↓" }[head.column?.better] ?? "";
    const sort = make("button", { type: "button", class: "sort", title: head.column?.good ?? null, onclick: () => {
      if (key === i) down = !down; else { key = i; down = head.column?.better === "higher"; }
      draw();
    } }, ...breakable(head.title), `${arrow} `, make("span", { class: "mark", "aria-hidden": "true" }));
    const more = head.column ? [
      head.column.remark ? make("span", { class: "remark" }, head.column.remark) : null, make("br"),
      make("button", { type: "button", class: "how", "aria-label": `Protocol of ${head.title}`, onclick: () => showProtocol(head.column) }, "protocol"),
    ] : [];
    return make("th", { scope: "col", class: head.text ? "text" : null }, sort, ...more.filter((x) => x !== null));
  });
  table.append(make("caption", { hidden: "" }, `Scores, protocol ${order + 1}`), make("thead", {}, make("tr", {}, ...heads)), body);
  tables.push(draw);
  draw();
  return make("div", { class: "panel scroll", tabindex: "0", role: "region", "aria-label": `Table ${order + 1}, scrolls sideways` }, table);
}

function ordered(a, b, down) {
  if (a === null || b === null) return (a === null) - (b === null);  // what is missing goes last, either way
  const sign = typeof a === "string" ? a.localeCompare(b) : a - b;
  return down ? -sign : sign;
}

function bestOf(values, better) {
  const known = values.filter((value) => value !== null);
  if (!better || known.length < 2) return null;
  return better === "higher" ? Math.max(...known) : Math.min(...known);
}

function showProtocol(column) {
  find("protocol-title").textContent = column.metric;
  const list = make("dl");
  for (const [name, value] of column.protocol) {
    const about = Object.hasOwn(data.fields, name) ? make("small", {}, data.fields[name]) : null;
    list.append(make("dt", {}, name), make("dd", {}, make("code", {}, value), ...(about ? [about] : [])));
  }
  const versions = column.versions.map((text) => make("p", {}, make("code", {}, text)));
  const many = versions.length > 1 ? "These scores were taken with different versions; look here first if numbers surprise." : "";
  find("protocol").querySelector(".body").replaceChildren(
    ...(column.good ? [make("p", {}, `What is good: ${column.good}.`)] : []), list,
    make("h3", {}, "Versions"), ...(many ? [make("p", { class: "note" }, many)] : []), ...versions);
  find("protocol").showModal();
}

function buildScores() {
  const place = find("scores");
  data.sections.forEach((section, i) => {
    if (data.sections.length > 1) {
      place.append(make("h3", { class: "group" }, `Protocol ${i + 1}`));
      place.append(make("div", { class: "note" }, "Measured in another way than the other tables, so not to be compared with them:",
        make("ul", {}, ...section.why.map((reason) => make("li", {}, reason)))));
    }
    place.append(sectionTable(section, i));
  });
  const scored = new Set(data.sections.flatMap((section) => section.rows.map(([row]) => row)));
  const rest = data.configurations.map((_, row) => [row, []]).filter(([row]) => !scored.has(row));
  if (rest.length) place.append(make("h3", { class: "group" }, "Without scores"), sectionTable({ columns: [], rows: rest }, data.sections.length));
}

// Curves

const charts = [];
const axis = () => document.querySelector("input[name=axis]:checked").value;
const AXES = { steps: "step", images: "images seen", minutes: "minutes" };

function placed(run, steps, minutes) {
  if (axis() === "steps") return steps;
  if (axis() === "minutes") return minutes.length ? minutes : null;
  return run.imagesPerStep ? steps.map((step) => step * run.imagesPerStep) : null;
}

function logSeries(key, name) {
  return data.runs.filter((run) => run.log[key]?.[name]).map((run) => ({
    run, steps: run.steps, minutes: run.minutes, values: run.log[key][name], marks: run.spikes[name] ?? [], test: name.endsWith("_test"),
  }));
}

function scoreSeries(index) {
  return data.runs.flatMap((run) => run.scores.filter(([i, steps]) => i === index && steps.length > 1)
    .map(([, steps, minutes, values]) => ({ run, steps, minutes, values, marks: [], test: false })));
}

function ticks(low, high, count) {
  const rough = (high - low) / count || 1, unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 2.5, 5, 10].find((factor) => factor * unit >= rough * 0.99);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function scale(low, high, from, to, logarithmic) {
  const f = logarithmic ? Math.log10 : (x) => x, a = f(low), b = f(high);
  return (x) => from + ((f(x) - a) / (b - a || 1)) * (to - from);
}

function chart(title, unit, series) {
  const plot = make("svg", { tabindex: "0", role: "application", "aria-roledescription": "chart",
    "aria-label": `${title}. Left and right move along a curve, up and down change the curve.` });
  const tip = make("div", { class: "tip", role: "status", hidden: "" });
  const enlarge = make("button", { type: "button", title: "Larger or smaller", "aria-label": `Enlarge ${title}`, "aria-pressed": "false", onclick: () => {
    enlarge.setAttribute("aria-pressed", String(figure.classList.toggle("wide")));
    draw();
  } }, "⤢");
  const figure = make("figure", { class: "chart panel" },
    make("figcaption", {}, make("span", {}, title, " ", make("small", {}, unit)), enlarge), plot, tip);
  let curves = [], width = 0, height = 0, cursor = null;

  function draw() {
    width = Math.max(260, figure.clientWidth - 28);
    height = figure.classList.contains("wide") ? Math.min(520, Math.max(300, width * 0.45)) : Math.round(Math.max(200, Math.min(250, width * 0.58)));
    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.style.height = `${height}px`;
    look(null);
    curves = series.filter((one) => shown(one.run.row)).map((one) => ({ ...one, at: placed(one.run, one.steps, one.minutes) }))
      .filter((one) => one.at).map((one) => ({ ...one, points: one.at.map((x, i) => [x, one.values[i], i]).filter(([, y]) => y !== null) }))
      .filter((one) => one.points.length);
    plot.replaceChildren();
    if (!curves.length) {
      plot.append(make("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "nothing to show: see the filter and the legend"));
      return;
    }
    const xs = curves.flatMap((c) => [c.points[0][0], c.points.at(-1)[0]]);
    let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
    for (const x of xs) { x0 = Math.min(x0, x); x1 = Math.max(x1, x); }
    for (const c of curves) for (const [, y] of c.points) { y0 = Math.min(y0, y); y1 = Math.max(y1, y); }
    if (x0 < x1 * 0.2) x0 = 0;
    const logarithmic = y0 > 0 && y1 > 1000 * y0;
    if (!logarithmic) { const pad = (y1 - y0) * 0.06 || Math.abs(y1) * 0.1 || 1; y0 -= pad; y1 += pad; }
    const left = 52, right = width - 16, top = 8, bottom = height - 34;
    const X = scale(x0, x1, left, right), Y = scale(y0, y1, bottom, top, logarithmic);
    const rules = logarithmic ? powers(y0, y1) : ticks(y0, y1, Math.max(4, height / 42));
    for (const y of rules) {
      plot.append(make("line", { class: "rule", x1: left, x2: right, y1: Y(y), y2: Y(y) }));
      plot.append(make("text", { x: left - 6, y: Y(y) + 4, "text-anchor": "end" }, short(+y.toPrecision(6))));
    }
    for (const x of ticks(x0, x1, Math.max(3, width / 85)))
      plot.append(make("text", { x: X(x), y: bottom + 15, "text-anchor": "middle" }, short(+x.toPrecision(6))));
    plot.append(make("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, AXES[axis()]));
    const lines = make("g", { class: "ink-of" });
    for (const c of curves) {
      const colour = data.configurations[c.run.row].colour;
      c.pixels = c.points.map(([x, y]) => [X(x), Y(y)]);
      c.path = make("path", { class: c.test ? "test" : null, stroke: colour, d: `M${c.pixels.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}` });
      lines.append(c.path);
      if (c.points.length < 2) lines.append(make("circle", { cx: c.pixels[0][0], cy: c.pixels[0][1], r: 3, fill: colour }));
      c.points.forEach(([, , i], k) => {
        if (!c.marks.includes(i)) return;
        const [x, y] = c.pixels[k];
        lines.append(make("path", { class: "spike", fill: "none", stroke: colour, d: `M${x - 4} ${y - 9}L${x + 4} ${y - 9}L${x} ${y - 2}Z` }));
      });
    }
    plot.append(lines, make("line", { class: "cursor", y1: top, y2: bottom, visibility: "hidden" }), make("circle", { class: "dot", r: 4, visibility: "hidden" }));
  }

  function look(target) {  // [curve, point], or null
    cursor = target;
    figure.classList.toggle("looking", target !== null);
    plot.querySelectorAll(".hot").forEach((node) => node.classList.remove("hot"));
    const line = plot.querySelector(".cursor"), dot = plot.querySelector(".dot");
    for (const node of [line, dot]) node?.setAttribute("visibility", target ? "visible" : "hidden");
    tip.hidden = target === null;
    if (!target) return;
    const curve = curves[target[0]], [x, y] = curve.pixels[target[1]], [value] = curve.points[target[1]];
    curve.path.classList.add("hot");
    line.setAttribute("x1", x); line.setAttribute("x2", x);
    dot.setAttribute("cx", x); dot.setAttribute("cy", y); dot.setAttribute("fill", data.configurations[curve.run.row].colour);
    const near = curves.map((other, i) => [other, other.points[nearest(other.points, value)], i])
      .filter(([other, point]) => other === curve || Math.abs(point[0] - value) <= Math.abs(value) * 0.02 + 1e-9)
      .sort(([, p], [, q]) => q[1] - p[1]);
    const here = near.findIndex(([other]) => other === curve), first = Math.max(0, Math.min(here - 3, near.length - 7));
    tip.replaceChildren(make("span", {}, `${AXES[axis()]} ${number(value)}`), ...near.slice(first, first + 7).map(([other, point]) =>
      make("div", { class: other === curve ? "hot" : null }, swatch(other.run.row),
        make("span", {}, `${data.configurations[other.run.row].label}, seed ${other.run.seed}${other.test ? ", test images" : ""}`), make("span", {}, number(point[1])))));
    const box = plot.getBoundingClientRect(), outer = figure.getBoundingClientRect();
    const middle = box.left - outer.left + x * (box.width / width) - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(6, Math.min(outer.width - tip.offsetWidth - 8, middle))}px`;
    tip.style.top = `${box.bottom - outer.top - 18}px`;  // below, so that it hides no curve
  }

  plot.addEventListener("pointermove", (event) => {
    if (!curves.length) return;
    const box = plot.getBoundingClientRect(), px = ((event.clientX - box.left) / box.width) * width, py = ((event.clientY - box.top) / box.height) * height;
    let best = null, least = Infinity;
    curves.forEach((c, i) => c.pixels.forEach(([x, y], k) => {
      const far = Math.hypot((x - px) * 2, y - py);  // what stands above or below is meant rather than what stands beside
      if (far < least) { least = far; best = [i, k]; }
    }));
    look(best);
  });
  plot.addEventListener("pointerleave", () => look(null));
  plot.addEventListener("blur", () => look(null));
  plot.addEventListener("keydown", (event) => {
    if (!curves.length) return;
    const [c, k] = cursor ?? [0, -1], last = curves[c].points.length - 1;
    const along = { ArrowRight: Math.min(last, k + 1), ArrowLeft: Math.max(0, k - 1), Home: 0, End: last }[event.key];
    if (along !== undefined) look([c, along]);
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const next = (c + (event.key === "ArrowUp" ? -1 : 1) + curves.length) % curves.length;
      look([next, nearest(curves[next].points, curves[c].points[Math.max(k, 0)][0])]);
    } else if (event.key === "Escape") look(null);
    else return;
    event.preventDefault();
  });
  charts.push(draw);
  return figure;
}

function powers(low, high) {
  const found = [], every = Math.max(1, Math.ceil(Math.log10(high / low) / 6));
  for (let power = Math.ceil(Math.log10(low)); 10 ** power <= high; power += every) found.push(10 ** power);
  return found;
}

function nearest(points, x) {
  let best = 0;
  points.forEach((point, i) => { if (Math.abs(point[0] - x) < Math.abs(points[best][0] - x)) best = i; });
  return best;
}

function group(title, question, good, figures) {
  find("charts").append(make("div", { class: "group" }, make("h3", {}, title), make("p", {}, question, good ? ` Good: ${good}.` : "")), make("div", { class: "charts" }, ...figures));
}

function buildCurves() {
  let index = 0;
  const scores = [];
  data.sections.forEach((section, i) => section.columns.forEach((column) => {
    const series = scoreSeries(index++), of = data.sections.length > 1 ? `protocol ${i + 1}` : "";
    const better = column.better ? `${column.better} is better` : "";
    if (series.length) scores.push(chart(column.metric, [better, of, column.remark].filter(Boolean).join(", "), series));
  }));
  if (scores.length) group("Scores", "Do the samples get better?", "", scores);
  for (const one of data.groups) {
    const pairs = one.names.filter((name) => !name.endsWith("_test") || !one.names.includes(name.slice(0, -5)));
    group(one.title, one.question, one.good, pairs.map((name) =>
      chart(name, one.unit, [...logSeries(one.key, name), ...(name.endsWith("_test") ? [] : logSeries(one.key, `${name}_test`))])));
  }
  const thinned = data.runs.some((run) => run.steps.length >= data.mostPoints);
  find("thinned").textContent = thinned ? `Curves are thinned to ${data.mostPoints} points a run here; the pictures in curves/ have all.` : "";
  find("legend").append(...data.configurations.map((configuration, row) => make("button", { type: "button", "aria-pressed": "true", onclick: (event) => {
    const on = hidden.delete(row);
    if (!on) hidden.add(row);
    event.currentTarget.setAttribute("aria-pressed", String(on));
    redraw();
  } }, swatch(row), make("span", {}, `${configuration.number} ${configuration.label}`))));
  if (!charts.length) find("charts").append(make("p", { class: "note" }, "None of these runs has a log."));
}

// Samples

const withGrid = data.runs.map((run, i) => [run, i]).filter(([run]) => run.grid);
let viewed = 0, zoom = 1;
const caption = (run) => `${data.configurations[run.row].number} ${data.configurations[run.row].label}, seed ${run.seed}, step ${whole(run.grid.step)}`;

function buildGallery() {
  withGrid.forEach(([run], i) => {
    const image = make("img", { src: pictures[run.grid.index], alt: `Samples of ${caption(run)}`, decoding: "async", width: run.grid.width, height: run.grid.height,
      onload: () => image.classList.toggle("shrunk", image.naturalWidth > image.clientWidth) });
    const columns = run.columns.length ? make("span", { class: "sub" }, `columns: ${run.columns.join(", ")}`) : null;
    find("gallery").append(make("figure", { class: "panel", "data-row": run.row },
      make("button", { type: "button", "aria-label": `Enlarge samples of ${caption(run)}`, onclick: () => view(i) }, image),
      make("figcaption", {}, swatch(run.row), caption(run), columns)));
  });
  if (!withGrid.length) find("gallery").append(make("p", { class: "note" }, "None of these runs has a grid of samples."));
}

function view(i) {
  const [run] = withGrid[i], image = find("viewer-image");
  viewed = i;
  image.src = pictures[run.grid.index];
  image.alt = `Samples of ${caption(run)}`;
  find("viewer-caption").textContent = caption(run);
  if (!find("viewer").open) find("viewer").showModal();
  image.decode().then(() => { zoom = Math.max(1, Math.floor(Math.min((innerWidth * 0.94) / image.naturalWidth, (innerHeight * 0.8) / image.naturalHeight))); enlarge(0); }, () => {});
}

function enlarge(by) {  // by whole numbers, so that a pixel stays a square of one colour
  const image = find("viewer-image");
  zoom = Math.max(1, Math.min(12, zoom + by));
  image.style.width = `${image.naturalWidth * zoom}px`;
}

function step(by) {
  const open = withGrid.map((_, i) => i).filter((i) => !filtered.has(withGrid[i][0].row));
  const here = open.indexOf(viewed);
  if (open.length) view(open[(here + by + open.length) % open.length]);
}

function wireDialogs() {
  for (const dialog of document.querySelectorAll("dialog"))
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  find("viewer").addEventListener("click", (event) => {
    if (event.target.dataset.by) step(Number(event.target.dataset.by));
    if (event.target.dataset.zoom) enlarge(Number(event.target.dataset.zoom));
  });
  find("viewer").addEventListener("keydown", (event) => {
    const act = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), "+": () => enlarge(1), "-": () => enlarge(-1) }[event.key];
    if (act) { act(); event.preventDefault(); }
  });
}

// Runs, and the whole

function buildRuns() {
  const rows = data.runs.map((run) => make("tr", { "data-row": run.row },
    make("th", { scope: "row" }, swatch(run.row), `${data.configurations[run.row].number} ${data.configurations[run.row].label}`),
    make("td", { class: "text" }, run.seed), make("td", { class: "text" }, make("code", {}, run.name)), make("td", { class: "text" }, run.notes.join("; "))));
  const heads = ["configuration", "seed", "folder", "notes"].map((title) => make("th", { scope: "col", class: "text" }, title));
  find("runs").append(make("div", { class: "panel scroll", tabindex: "0", role: "region", "aria-label": "Runs, scrolls sideways" },
    make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows))));
  if (data.leftOut.length) find("runs").append(make("h3", { class: "group" }, "Left out"), make("div", { class: "note" },
    make("ul", {}, ...data.leftOut.map(([name, why]) => make("li", {}, make("code", {}, name), `: ${why}`)))));
  find("runs").append(make("footer", {}, `Made by tfgan_suite ${data.version}, python -m tfgan_suite.compare.`));
}

const texts = data.configurations.map((configuration, row) =>
  [configuration.number, configuration.label, configuration.hardware, configuration.finished ? "finished" : "unfinished",
    ...data.runs.filter((run) => run.row === row).flatMap((run) => [`seed ${run.seed}`, run.name, ...run.notes])].join(" ").toLowerCase());

function filter() {
  const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  filtered = new Set(texts.map((_, row) => row).filter((row) => !words.every((word) => texts[row].includes(word))));
  const all = data.configurations.length, left = all - filtered.size;
  find("count").textContent = left === all ? "" : `${left} of ${all} configurations`;
  for (const node of document.querySelectorAll("[data-row]")) node.hidden = filtered.has(Number(node.dataset.row));
  find("legend").childNodes.forEach((node, row) => { node.hidden = filtered.has(row); });
  for (const draw of tables) draw();
  redraw();
}

function redraw() {
  for (const draw of charts) draw();
}

const plural = (count, one) => `${whole(count)} ${one}${count === 1 ? "" : "s"}`;
find("summary").textContent = `${plural(data.runs.length, "run")} of ${plural(data.configurations.length, "configuration")}` +
  (data.sections.length > 1 ? `, scored under ${data.sections.length} protocols that must not be compared` : "") +
  (data.leftOut.length ? `; ${plural(data.leftOut.length, "folder")} left out` : "") + ".";
document.title = `Comparison of ${plural(data.runs.length, "run")}`;
buildScores();
buildCurves();
buildGallery();
buildRuns();
wireDialogs();
find("filter").addEventListener("input", filter);
find("at").addEventListener("change", () => { for (const draw of tables) draw(); });
find("axis").addEventListener("change", redraw);
let waiting = 0, wide = 0;
addEventListener("resize", () => {
  if (innerWidth === wide) return;  // a phone's address bar comes and goes
  wide = innerWidth;
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(redraw);
});
redraw();
