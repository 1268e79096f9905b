// Draws one picture. What is there is changed in place, so that nothing flickers or loses focus.

const SECONDS = 90;
const SERIES = [
  { key: "answered", name: "answered", at: 1 },
  { key: "throttled", name: "429 throttled", at: 2 },
  { key: "unavailable", name: "503 unavailable", at: 3 },
  { key: "refused", name: "held back by the stack", at: 5 },
];

const byId = (id) => document.getElementById(id);

export function draw(picture) {
  byId("target").textContent = picture.target;
  headline(picture);
  series(picture.history);
  list(byId("quotas"), picture.quotas, (one) => `${one.model} ${one.region}`, quota);
  list(byId("circuits"), picture.circuits, (one) => `${one.model} ${one.region}`, circuit);
  routes(picture.history.routes);
  waits(picture);
  places(picture);
  notes(picture.history.notes);
}

// --- In a word

function headline({ history, circuits, quotas }) {
  const lately = history.series.filter(([second]) => second + 5 > history.second);
  const sum = (at) => lately.reduce((sum, counts) => sum + counts[at], 0);
  const open = circuits.filter(({ state }) => state !== "closed");
  const waiting = quotas.reduce((sum, { waiting }) => sum + waiting, 0);
  const said = [];
  if (open.length) {
    const where = [...new Set(open.map(({ region }) => region))].join(", ");
    said.push(`Circuits open in ${where}: the stack leaves it alone and asks again.`);
  }
  if (sum(2)) said.push("The service throttles: the stack learns lower limits.");
  else if (sum(3) && !open.length) said.push("The service answers 503.");
  if (waiting) said.push("Calls wait for quota.");
  if (sum(6)) said.push("Calls go to other routes.");
  if (sum(7)) said.push("Some were refused: no route had room in time.");
  const mood = open.length || sum(3) ? "down" : sum(2) ? "throttled" : said.length ? "busy" : "calm";
  const element = byId("headline");
  element.dataset.mood = mood;
  set(element, said.join(" ") || "All calm.");
}

// --- The last seconds

function series({ series, second }) {
  const bySecond = new Map(series.map((counts) => [counts[0], counts]));
  const shown = Array.from({ length: SECONDS }, (_, n) => bySecond.get(second - SECONDS + n));
  list(byId("series"), SERIES, ({ key }) => key, (row, { key, name, at }) => {
    const values = shown.map((counts) => counts?.[at] ?? 0);
    const most = Math.max(4, ...values);
    const lately = values.slice(-5).reduce((sum, value) => sum + value, 0) / 5;
    const chart = child(row, "chart", () => {
      row.className = `strip ${key}`;
      const svg = shape("svg", { viewBox: `0 0 ${SECONDS} 24`, preserveAspectRatio: "none" });
      svg.setAttribute("aria-hidden", "true");
      svg.append(shape("path", {}));
      return svg;
    });
    const label = child(row, "label", () => node("p"));
    set(child(label, "name", () => node("span")), name);
    const now = child(label, "now", () => node("span"));
    set(now, `${lately ? lately.toFixed(1) : 0}/s`);
    now.dataset.value = lately;
    const bar = (value, n) =>
      value ? `M${n}.1 24v${((-23 * value) / most).toFixed(2)}h.8V24z` : "";
    chart.firstChild.setAttribute("d", values.map(bar).join(""));
  });
}

// --- Quotas

function quota(row, { model, region, requests, tokens, waiting, closed_for_ms }) {
  row.className = "quota";
  set(child(row, "name", () => node("h4")), `${short(model)} · ${region ?? "home"}`);
  const said = [];
  if (waiting) said.push(`${waiting} waiting`);
  if (closed_for_ms) said.push(`closed for ${time(closed_for_ms)}`);
  set(child(row, "said", () => node("p", "muted")), said.join(", "));
  meter(child(row, "requests", () => node("div")), "requests", requests);
  meter(child(row, "tokens", () => node("div")), "tokens", tokens);
}

function meter(element, name, { limit, learned, used, held }) {
  element.className = "meter";
  const most = Math.max(limit ?? 0, used + held, 1);
  const share = (amount) => `${Math.min(100, (100 * amount) / most).toFixed(2)}%`;
  const bar = child(element, "bar", () => {
    const bar = node("div", "bar");
    bar.setAttribute("role", "meter");
    bar.setAttribute("aria-valuemin", "0");
    return bar;
  });
  bar.setAttribute("aria-label", name);
  bar.setAttribute("aria-valuemax", String(most));
  bar.setAttribute("aria-valuenow", String(used + held));
  child(bar, "settled", () => node("i", "settled")).style.width = share(used);
  child(bar, "held", () => node("i", "held")).style.width = share(held);
  const mark = child(bar, "learned", () => node("b"));
  mark.hidden = learned == null || learned >= (limit ?? Infinity);
  mark.style.left = share(learned ?? 0);
  bar.classList.toggle("full", limit != null && used + held >= 0.8 * (learned ?? limit));
  const of = limit == null ? "no limit known" : `of ${count(limit)}`;
  const lower = mark.hidden ? "" : `, ${count(learned)} learned`;
  const said = `${name}: ${count(used + held)} ${of}${lower}`;
  set(child(element, "said", () => node("p")), said);
}

// --- Circuits and routes

const STATES = { closed: "closed", open: "open", half_open: "half-open, probing" };

function circuit(row, { model, region, state, retry_in_ms, calls, failures }) {
  row.className = `circuit ${state}`;
  set(child(row, "name", () => node("span")), `${short(model)} · ${region ?? "home"}`);
  set(child(row, "state", () => node("strong")), STATES[state]);
  const again = retry_in_ms ? `asked again in ${time(retry_in_ms)}` : "asked again now";
  const said = state === "closed" ? `${failures} of ${calls} failed` : again;
  set(child(row, "said", () => node("span", "muted")), said);
}

function routes(routes) {
  const all = Object.values(routes).reduce((sum, answers) => sum + answers, 0);
  const rows = Object.entries(routes).map(([route, answers]) => ({ route, answers }));
  list(byId("routes"), rows, ({ route }) => route, (row, { route, answers }) => {
    row.className = "share";
    const [model, region] = route.split("@");
    set(child(row, "name", () => node("span")), `${short(model)} · ${region ?? "home"}`);
    const share = Math.round((100 * answers) / all);
    set(child(row, "said", () => node("strong")), `${share} %`);
    const bar = child(row, "bar", () => node("div", "bar"));
    child(bar, "settled", () => node("i", "settled")).style.width = `${share}%`;
  });
  if (!rows.length) list(byId("routes"), [0], () => "none", (row) => set(row, "Nobody has asked lately."));
}

// --- Waits, places, retries

function waits({ history, quotas, pools }) {
  const inLine = (all) => all.reduce((sum, { waiting }) => sum + waiting, 0);
  const rows = [
    { name: "quota", now: inLine(quotas), ...history.waits.quota },
    { name: "a place", now: inLine(pools), ...history.waits.pool },
    { name: "a retry", now: "", ...history.waits.retry },
  ];
  const body = document.querySelector("#waits tbody");
  list(body, rows, ({ name }) => name, (row, { name, now, calls, total_ms, longest_ms }) => {
    const mean = calls ? time(total_ms / calls) : "–";
    const cells = [name, now, count(calls), mean, calls ? time(longest_ms) : "–"];
    cells.forEach((text, n) => set(child(row, `cell${n}`, () => node(n ? "td" : "th")), text));
  }, "tr");
}

function places({ pools, retry_budget }) {
  const rows = pools.map(({ region, in_flight, limit, waiting }) => ({
    name: `in flight · ${region}`,
    used: in_flight,
    limit,
    more: waiting ? `, ${waiting} waiting` : "",
  }));
  if (retry_budget) {
    const { available, capacity } = retry_budget;
    rows.push({ name: "retry budget left", used: available, limit: capacity, more: "" });
  }
  list(byId("pools"), rows, ({ name }) => name, (row, { name, used, limit, more }) => {
    row.className = "share";
    set(child(row, "name", () => node("span")), name);
    set(child(row, "said", () => node("strong")), `${used} of ${limit}${more}`);
    const bar = child(row, "bar", () => node("div", "bar"));
    child(bar, "settled", () => node("i", "settled")).style.width = `${Math.min(100, (100 * used) / limit)}%`;
  });
}

function notes(notes) {
  const rows = notes.length ? notes : [[null, "Nothing yet."]];
  const element = byId("notes");
  element.replaceChildren(
    ...rows.map(([ago, text]) => {
      const row = node("li");
      const when = node("span", "muted");
      when.textContent = ago == null ? "" : `${ago} s ago`;
      row.append(when, ` ${text}`);
      return row;
    }),
  );
}

// --- Elements

/** Keeps one element for each item, in their order. */
function list(parent, items, keyOf, fill, tag = parent.tagName === "UL" ? "li" : "div") {
  const keys = items.map(keyOf);
  for (const row of [...parent.children]) {
    if (!keys.includes(row.dataset.key)) row.remove();
  }
  items.forEach((item, n) => {
    let row = [...parent.children].find(({ dataset }) => dataset.key === keys[n]);
    if (!row) {
      row = node(tag);
      row.dataset.key = keys[n];
    }
    if (parent.children[n] !== row) parent.insertBefore(row, parent.children[n] ?? null);
    fill(row, item);
  });
}

/** The part of an element by its name, made when it is first asked for. */
function child(parent, part, make) {
  for (const one of parent.children) if (one.dataset.part === part) return one;
  const made = make();
  made.dataset.part = part;
  parent.append(made);
  return made;
}

function node(tag, className = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  return element;
}

function shape(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function set(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

// --- Words

const short = (model) => (model ?? "–").replace(/^[a-z]+\.(?=[a-z]+\.)/, "").replace(/^[a-z]+\./, "").replace(/-v\d.*$/, "");

const count = (number) => Number(number).toLocaleString("en", { maximumFractionDigits: 0 });

const time = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
