// What is known, kept live by server-sent events, and who wants to know.

import { natural } from "./format.js";
import { parse } from "./filter.js";

export const store = {
  rows: new Map(), // key -> row
  order: [], // keys in natural order
  alerts: new Map(), // key -> alert
  filter: parse(""),
  query: "",
  levels: new Set(), // levels to show; none: all
  live: "connecting",
};

export const keyOf = (device, port) => `${device}\n${port}`;
export const alertKey = (alert) => [alert.device, alert.port, alert.rule, alert.lane ?? 0].join("\n");

const listeners = { rows: [], alerts: [], filter: [], live: [] };
export function on(what, listener) {
  listeners[what].push(listener);
}

// Changes are shown together before the next frame; while the page is hidden nothing is drawn.
const waiting = new Map();
export function tell(what, detail) {
  if (!waiting.size) requestAnimationFrame(flush);
  const details = waiting.get(what) ?? new Set();
  for (const each of detail ?? []) details.add(each);
  waiting.set(what, details);
}

function flush() {
  const now = [...waiting];
  waiting.clear();
  for (const [what, details] of now) for (const listener of listeners[what]) listener(details);
}

export function matches(row) {
  return (!store.levels.size || store.levels.has(row.level)) && store.filter.test(row);
}

export function setQuery(query) {
  store.query = query;
  store.filter = parse(query);
  tell("filter");
}

export function setLevels(levels) {
  store.levels = new Set(levels);
  tell("filter");
}

function takeRows(rows) {
  const changed = [];
  let grown = false;
  for (const row of rows) {
    const key = keyOf(row.device, row.port);
    grown ||= !store.rows.has(key);
    store.rows.set(key, row);
    changed.push(key);
  }
  if (grown) {
    store.order = [...store.rows.keys()].sort(natural);
  }
  tell("rows", changed);
}

function takeAlert(alert) {
  if (alert.rule === "link") return; // news, not a state
  if (alert.state === "firing") store.alerts.set(alertKey(alert), alert);
  else store.alerts.delete(alertKey(alert));
  tell("alerts", [alert]);
}

async function loadAlerts() {
  const response = await fetch("api/v1/alerts");
  if (!response.ok) return;
  store.alerts = new Map((await response.json()).map((alert) => [alertKey(alert), alert]));
  tell("alerts");
}

function setLive(state) {
  store.live = state;
  tell("live");
}

export function follow() {
  const source = new EventSource("api/v1/events?view=summary");
  let fresh = true;
  source.addEventListener("open", () => {
    fresh = true;
    setLive("live");
    loadAlerts().catch(() => setLive("connecting"));
  });
  source.addEventListener("error", () => {
    setLive("connecting");
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
  });
  source.addEventListener("summary", (event) => {
    if (fresh) store.rows.clear(); // the first message after a connection has them all
    fresh = false;
    takeRows(JSON.parse(event.data));
  });
  source.addEventListener("forgotten", (event) => {
    const { device, port } = JSON.parse(event.data);
    store.rows.delete(keyOf(device, port));
    store.order = store.order.filter((key) => store.rows.has(key));
    tell("rows");
    tell("filter");
  });
  source.addEventListener("alert", (event) => takeAlert(JSON.parse(event.data)));
}
