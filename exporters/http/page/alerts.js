// Active alerts, worst and newest first, and their announcement.

import { ago, el, lanesOf, put, without, withoutLane } from "./format.js";
import { on, store } from "./store.js";

const FEW = 4;
const RANK = { critical: 0, warning: 1, info: 2 };
let all = false;

export function startAlerts(openPort) {
  const list = document.getElementById("alerts");
  list.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    openPort({ device: link.dataset.device, port: link.dataset.port }, link);
  });
  document.getElementById("alerts-more").addEventListener("click", () => {
    all = !all;
    show();
  });
  on("alerts", (news) => {
    show();
    for (const alert of news) announce(alert);
  });
  setInterval(show, 15_000);
  show();
}

function show() {
  const alerts = grouped([...store.alerts.values()]).sort(
    (one, other) => RANK[one.severity] - RANK[other.severity] || (one.time < other.time ? 1 : -1),
  );
  put(document.getElementById("alerts-count"), store.alerts.size ? String(store.alerts.size) : "");
  const more = document.getElementById("alerts-more");
  more.hidden = alerts.length <= FEW;
  put(more, all ? "Show fewer" : `Show all ${store.alerts.size}`);
  const nodes = alerts.slice(0, all ? undefined : FEW).map(item);
  document.getElementById("alerts").replaceChildren(...(nodes.length ? nodes : [el("li", { class: "none" }, "None.")]));
}

// The lanes of a port that have the same alert share a line.
function grouped(alerts) {
  const groups = new Map();
  for (const alert of alerts) {
    const key = [alert.device, alert.port, alert.rule, alert.severity].join("\n");
    const known = groups.get(key);
    if (!known) groups.set(key, { ...alert, lanes: alert.lane ? [alert.lane] : [] });
    else if (alert.lane) known.lanes.push(alert.lane);
  }
  return [...groups.values()];
}

function item(alert) {
  const severity = alert.severity === "info" ? "notice" : alert.severity;
  const href = `#${new URLSearchParams({ port: alert.port, device: alert.device })}`;
  const since = ago((Date.now() - Date.parse(alert.time)) / 1000);
  return el("li", { "data-level": severity },
    el("span", { class: "badge", "data-level": severity }, alert.severity),
    el("a", { href, "data-port": alert.port, "data-device": alert.device }, alert.port + (alert.lanes.length ? ` lane${alert.lanes.length > 1 ? "s" : ""} ${lanesOf(alert.lanes)}` : "")),
    el("span", { class: "text" }, withoutLane(without(alert.port, alert.summary)), alert.cause ? el("em", {}, ` — ${alert.cause}`) : null),
    el("time", { datetime: alert.time, title: new Date(alert.time).toLocaleString() }, `${since} ago`));
}

function announce(alert) {
  const state = alert.state === "firing" ? alert.severity : "resolved";
  put(document.getElementById("announce"), `${state}: ${alert.port}: ${alert.summary}`);
}
