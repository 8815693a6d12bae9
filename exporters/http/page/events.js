// What happened to a port: a timeline of its links and alerts, and the evidence of each.

import { QUANTITIES, clock, dbm, el, lanesOf, moment, number, plain, without, withoutLane, words } from "./format.js";
import { sparkline, svg } from "./charts.js";

const MANY = 30;
let all = false;

const isLink = (event) => event.rule === "link" || event.rule === "link_down";

// `events` are alert documents, oldest first.
export function timeline(events) {
  if (!events.length) return el("p", { class: "none" }, "Nothing happened since this page's server started.");
  events = grouped([...events].sort((one, other) => (one.time < other.time ? -1 : one.time > other.time ? 1 : 0)));
  const newest = [...events].reverse();
  const list = el("ol", { class: "events" }, ...(all ? newest : newest.slice(0, MANY)).map(item));
  const more = newest.length > MANY && !all && el("button", { type: "button", class: "quiet more", onclick: showAll }, `Show all ${newest.length} events`);
  return el("div", {}, strip(events, (at) => {
    if (newest.length > MANY && !all) showAll();
    const details = list.children[newest.indexOf(events[at])].querySelector("details");
    details.open = true;
    details.querySelector("summary").focus();
  }), list, more || "");

  function showAll() {
    all = true;
    list.replaceChildren(...newest.map(item));
    more.remove();
  }
}

// Lanes that had the same in the same moment share a line.
function grouped(events) {
  const found = [];
  for (const event of events) {
    const same = found.find((each) => each.rule === event.rule && each.state === event.state && each.lanes.length && event.lane
      && Math.abs(Date.parse(each.time) - Date.parse(event.time)) < 2000);
    if (same) same.lanes.push(event.lane);
    else found.push({ ...event, lanes: event.lane ? [event.lane] : [] });
  }
  return found;
}

function strip(events, choose) {
  const times = events.map((event) => Date.parse(event.time) / 1000);
  const now = Date.now() / 1000;
  const first = Math.min(...times, now - 60);
  const [width, height] = [600, 34];
  const x = (time) => 6 + ((time - first) / (now - first || 1)) * (width - 12);
  const downs = [];
  let since = null;
  events.forEach((event, at) => {
    if (!isLink(event)) return;
    if (event.state === "firing") since ??= times[at];
    else if (since !== null) {
      downs.push([since, times[at]]);
      since = null;
    }
  });
  if (since !== null) downs.push([since, now]);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "strip", role: "img", "aria-label": `${events.length} events since ${moment(first)}, listed below` },
    svg("rect", { class: "up", x: 6, y: 14, width: width - 12, height: 6, rx: 3 }),
    ...downs.map(([from, to]) => svg("rect", { class: "down", x: x(from), y: 12, width: Math.max(2, x(to) - x(from)), height: 10 })),
    ...events.map((event, at) => {
      const mark = svg("path", { class: `mark ${event.severity} ${event.state}`, d: `M${x(times[at])} 12 l-4 -8 h8 z` }, svg("title", {}, `${clock(times[at])} ${event.summary}`));
      mark.addEventListener("click", () => choose(at));
      return mark;
    }));
  return el("div", {}, drawing, el("p", { class: "ends", "aria-hidden": "true" }, el("span", {}, moment(first)), el("span", {}, "now")));
}

function item(event) {
  const level = event.state === "resolved" ? "ok" : event.severity === "info" ? "notice" : event.severity;
  const word = event.state === "resolved" ? "over" : event.severity;
  const seconds = Date.parse(event.time) / 1000;
  const text = without(event.port, event.summary);
  const lanes = event.lanes.length > 1 ? `Lanes ${lanesOf(event.lanes)}: ${withoutLane(text)}` : text;
  const head = el("summary", {},
    el("time", { datetime: event.time, title: moment(seconds) }, clock(seconds)),
    el("span", { class: "badge", "data-level": level }, word),
    el("span", { class: "text" }, lanes));
  const facts = [];
  if (event.cause) facts.push(["cause", event.cause]);
  if (event.value !== undefined) facts.push(["value", `${plain(event.value)} ${event.unit ?? ""}`]);
  if (event.threshold !== undefined) facts.push(["threshold", `${plain(event.threshold)} ${event.unit ?? ""}`]);
  facts.push(["rule", event.rule]);
  return el("li", {}, el("details", { "data-name": `${event.id} ${event.state} ${event.time}` }, head, definitions(facts), evidence(event.evidence ?? {}, around(event))));
}

// What the module said before and after a link event, with the event between them.
function around(event) {
  const shots = [...(event.evidence?.before ?? []), ...(event.evidence?.after ?? [])].filter((shot) => shot.time);
  const when = (shot) => Date.parse(shot.time) / 1000;
  const charts = ["rx_power_dbm", "tx_power_dbm", "tx_bias_amperes"].map((key) => {
    const lanes = Math.max(0, ...shots.map((shot) => shot[key]?.length ?? 0));
    const series = Array.from({ length: lanes }, (_, at) => ({
      name: at + 1, points: shots.filter((shot) => shot[key]?.[at] !== undefined).map((shot) => [when(shot), shot[key][at]]),
    }));
    return sparkline(key, series.filter(({ points }) => points.length), undefined, { mark: when(event), words: `${QUANTITIES[key].label} around the event` });
  }).filter(Boolean);
  return charts.length ? el("div", { class: "sparks" }, ...charts) : null;
}

function definitions(facts) {
  return el("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [el("dt", {}, words(name)), el("dd", {}, value)]));
}

// Evidence is whatever the rule saw: samples become a table, the rest a list of facts.
export function evidence(found, charts) {
  const parts = [];
  const facts = [];
  for (const [name, value] of Object.entries(found)) {
    if (Array.isArray(value) && !value.length) continue;
    if (name === "reasons" && Array.isArray(value)) parts.unshift(el("ul", { class: "reasons" }, ...value.map((reason) => el("li", {}, plain(reason)))));
    else if (Array.isArray(value) && value.every(isRecord)) parts.push(samples(name, value));
    else if (isRecord(value) && Object.values(value).some((each) => typeof each === "object")) parts.push(el("h5", {}, words(name)), evidence(value));
    else if (isRecord(value)) facts.push([name, Object.entries(value).map(([key, each]) => `${words(key)} ${plain(each)}`).join(", ")]);
    else facts.push([name, Array.isArray(value) ? value.map(plain).join(", ") : plain(value)]);
  }
  const first = parts[0]?.matches?.(".reasons") ? [parts.shift()] : [];
  return el("div", { class: "evidence" }, ...first, charts, facts.length ? definitions(facts) : null, ...parts);
}

const isRecord = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function samples(name, rows) {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words(name) },
    el("table", {}, el("caption", {}, words(name)),
      el("thead", {}, el("tr", {}, ...keys.map((key) => el("th", { scope: "col" }, column(key))))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...keys.map((key) => el("td", {}, cell(key, row[key]))))))));
}

function column(key) {
  const known = QUANTITIES[key.replace(/_watts$/, "_dbm")];
  return known ? `${known.label} ${known.unit}` : words(key);
}

function cell(key, value) {
  if (value === undefined) return "";
  if (key === "time") return typeof value === "number" ? clock(value) : clock(Date.parse(value) / 1000);
  if (Array.isArray(value)) return value.map((each) => cell(key, each)).join(" ");
  if (isRecord(value)) return Object.entries(value).map(([lane, each]) => `${lane}: ${cell(key, each)}`).join("  ");
  if (typeof value === "number" && key.endsWith("_watts")) return number("rx_power_dbm", dbm(value));
  if (typeof value === "number" && key in QUANTITIES) return number(key, value);
  return plain(value);
}

