// Active alerts, worst and newest first, and their announcement.

import { ago, el, put, without } from "./format.js";
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
  const alerts = [...store.alerts.values()].sort(
    (one, other) => RANK[one.severity] - RANK[other.severity] || (one.time < other.time ? 1 : -1),
  );
  put(document.getElementById("alerts-count"), alerts.length ? String(alerts.length) : "");
  const more = document.getElementById("alerts-more");
  more.hidden = alerts.length <= FEW;
  put(more, all ? "Show fewer" : `Show all ${alerts.length}`);
  const nodes = alerts.slice(0, all ? undefined : FEW).map(item);
  document.getElementById("alerts").replaceChildren(...(nodes.length ? nodes : [el("li", { class: "none" }, "None.")]));
}

function item(alert) {
  const severity = alert.severity === "info" ? "notice" : alert.severity;
  const href = `#${new URLSearchParams({ port: alert.port, device: alert.device })}`;
  const since = ago((Date.now() - Date.parse(alert.time)) / 1000);
  return el("li", { "data-level": severity },
    el("span", { class: "badge", "data-level": severity }, alert.severity),
    el("a", { href, "data-port": alert.port, "data-device": alert.device }, alert.port + (alert.lane ? ` lane ${alert.lane}` : "")),
    el("span", { class: "text" }, without(alert.port, alert.summary), alert.cause ? el("em", {}, ` — ${alert.cause}`) : null),
    el("time", { datetime: alert.time, title: new Date(alert.time).toLocaleString() }, `${since} ago`));
}

function announce(alert) {
  const state = alert.state === "firing" ? alert.severity : "resolved";
  put(document.getElementById("announce"), `${state}: ${alert.port}: ${alert.summary}`);
}
