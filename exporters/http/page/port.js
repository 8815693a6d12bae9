// One port in full: lanes against thresholds, history, events, who the module is, what it does not say.

import { LEVEL_WORDS, QUANTITIES, ago, dbm, el, hours, moment, number, plain, put, without, words } from "./format.js";
import { gauge, laneChart, sparkline, verdict } from "./charts.js";
import { engine } from "./engine.js";
import { evidence, timeline } from "./events.js";
import { keyOf, on, store } from "./store.js";

const LANE_KEYS = ["rx_power_dbm", "tx_power_dbm", "tx_bias_amperes"];
const EVENTS = 2000; // as many as the server keeps
const USUAL = {
  temperature_celsius: "temperature", supply_voltage_volts: "supply voltage", rx_power_watts: "received power",
  tx_power_watts: "transmitted power", tx_bias_amperes: "laser bias",
};

let shown = null; // {device, port, document, source, opener}
const panel = () => document.getElementById("port");

export function startPort() {
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && shown) closePort();
  });
  on("rows", (changed) => {
    if (shown && changed.has(keyOf(shown.device, shown.port))) head();
  });
}

export async function openPort({ device, port }, opener, { focus = true } = {}) {
  shown?.source?.close();
  shown = { device, port, opener: opener ?? shown?.opener, document: null };
  const mine = shown;
  document.body.classList.add("with-port");
  panel().hidden = false;
  panel().replaceChildren(header(), el("div", { class: "body", id: "port-body" }, el("p", { class: "none" }, "reading …")));
  panel().scrollTop = 0;
  head();
  dispatchEvent(new CustomEvent("port-opened", { detail: { device, port } }));
  if (focus) document.getElementById("port-title").focus();
  try {
    const found = await load(device, port);
    if (shown !== mine) return;
    mine.document = found;
    mine.device = found.device;
    head();
    draw();
    listen(mine);
  } catch (problem) {
    if (shown === mine) document.getElementById("port-body").replaceChildren(el("p", { class: "none" }, String(problem.message)));
  }
}

export function closePort() {
  if (!shown) return;
  const { source, opener } = shown;
  source?.close();
  shown = null;
  panel().hidden = true;
  document.body.classList.remove("with-port");
  dispatchEvent(new CustomEvent("port-closed"));
  if (opener?.isConnected) opener.focus();
}

async function load(device, port) {
  const response = await fetch(`api/v1/ports/${encodeURIComponent(port)}?device=${encodeURIComponent(device)}`);
  if (!response.ok) throw new Error(`${port}: ${(await response.text()).trim()}`);
  return response.json();
}

function listen(mine) {
  const query = new URLSearchParams({ port: mine.port, device: mine.device });
  mine.source = new EventSource(`api/v1/events?${query}`);
  mine.source.addEventListener("reading", (event) => {
    const { history, events, link, module_swaps, reliability } = mine.document; // the rest is of an older reading
    const reading = JSON.parse(event.data);
    mine.document = { ...reading, history: thinned([...history, sampleOf(reading)]), events, module_swaps, reliability, present: true, up: true, link: link && { ...reading.link, ...link } };
    drawSoon();
  });
  mine.source.addEventListener("alert", (event) => {
    const alert = JSON.parse(event.data);
    if (alert.port !== mine.port || alert.device !== mine.device) return;
    mine.document.events.push(alert);
    mine.document.events.splice(0, mine.document.events.length - EVENTS);
    load(mine.device, mine.port).then((found) => {
      if (shown === mine) mine.document = found;
      drawSoon();
    }, () => drawSoon());
  });
}

// As the server keeps them: an hour at 10 s, the last minute in full. A page that stays open does not grow.
function thinned(history) {
  const now = Date.parse(history.at(-1).time);
  let kept = 0;
  return history.filter(({ time }) => {
    const at = Date.parse(time);
    if (at < now - 3_600_000 || (at < now - 60_000 && at - kept < 10_000)) return false;
    kept = at;
    return true;
  });
}

function sampleOf(reading) {
  const sample = { time: reading.time, ...reading.values, lanes: reading.lanes };
  const ber = (reading.vdm ?? []).filter((each) => each.observable.startsWith("pre_fec_ber_current")).map((each) => each.value);
  if (ber.length) sample.pre_fec_ber_ratio = Math.max(...ber);
  return sample;
}

let pending = false;
function drawSoon() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    if (shown?.document) draw();
  });
}

// ---- head ----

function header() {
  return el("header", {},
    el("div", {}, el("h2", { id: "port-title", tabindex: "-1" }, shown.port), el("span", { class: "badge", id: "port-badge" }), el("p", { class: "device" }, shown.device)),
    el("button", { type: "button", class: "quiet close", "aria-label": "Close the port", onclick: closePort }, "✕"),
    el("ul", { class: "why", id: "port-why" }));
}

function head() {
  const row = store.rows.get(keyOf(shown.device, shown.port));
  if (!row) return;
  const badge = document.getElementById("port-badge");
  badge.dataset.level = row.level;
  put(badge, LEVEL_WORDS[row.level]);
  const why = document.getElementById("port-why");
  if (why.textContent !== row.why.join("")) why.replaceChildren(...row.why.map((text) => el("li", {}, without(row.port, text))));
}

// ---- body: sections are built anew, what the reader has opened stays open ----

function draw() {
  const body = document.getElementById("port-body");
  const place = panel().scrollTop;
  if (body.contains(document.activeElement) || body.querySelector(":hover:is(svg, .scroll)")) {
    if (!body.dataset.late) {
      body.dataset.late = "1";
      setTimeout(() => {
        delete body.dataset.late;
        if (shown?.document) draw();
      }, 2000);
    }
    if (body.dataset.drawn === keyOf(shown.device, shown.port) && document.activeElement.closest("#port-body")) return;
  }
  const open = new Set([...body.querySelectorAll("details[open]")].map((node) => node.dataset.name));
  const sections = [trouble, link, engine, gauges, lanes, history, happened, identity, silent, more].map((part) => part(shown.document));
  body.replaceChildren(...sections.filter(Boolean));
  for (const node of body.querySelectorAll("details[data-name]")) if (open.has(node.dataset.name)) node.open = true;
  body.dataset.drawn = keyOf(shown.device, shown.port);
  panel().scrollTop = place;
}

function section(title, ...children) {
  const kept = children.filter(Boolean);
  return kept.length ? el("section", {}, el("h3", {}, title), ...kept) : null;
}

function trouble(port) {
  if (!port.present) return el("p", { class: "banner" }, "No module in this port.");
  return port.trouble ? el("p", { class: "banner" }, `The last poll failed: ${port.trouble.detail}`) : null;
}

function link(port) {
  if (!port.link || port.link.oper_up === undefined) return null;
  const { oper_up: up, admin_up: admin, last_change: changed, down_events: downs = {}, transitions } = port.link;
  const flaps = Object.values(downs).reduce((sum, count) => sum + count, 0);
  const state = up ? "up" : admin === false ? "shut down by configuration" : "down";
  const since = changed ? ` since ${moment(Date.parse(changed) / 1000)}` : "";
  const causes = Object.entries(downs).map(([cause, count]) => `${count} ${words(cause)}`).join(", ");
  return el("p", { class: "linkline" }, el("i", { class: up ? "led up" : "led", "aria-hidden": "true" }), `Link ${state}${since}.`,
    transitions ? ` Went down ${flaps} ${flaps === 1 ? "time" : "times"}${causes ? ` (${causes})` : ""}.` : " Never changed.",
    port.reliability ? ` ${reliable(port.reliability)}` : "");
}

function reliable({ link_hours: all, unintentional_downs: downs, link_hours_per_down: mean, link_hours_per_down_lower95: least }) {
  const measured = downs ? `a flap every ${hours(mean)} h` : "no flap";
  return `${hours(all)} link-hours, ${measured}: with 95 % confidence more than ${hours(least)} h between two.`;
}

function inDbm(bounds) {
  return bounds && Object.fromEntries(Object.entries(bounds).map(([bound, watts]) => [bound, dbm(watts)]));
}

function boundsOf(port, key) {
  if (key.endsWith("_dbm")) return inDbm(port.thresholds[key.replace("_dbm", "_watts")]);
  return port.thresholds[key];
}

function gauges(port) {
  const known = Object.entries(port.values).filter(([key]) => QUANTITIES[key]);
  if (!known.length) return null;
  return el("div", { class: "gauges" }, ...known.map(([key, value]) => gauge(key, value, boundsOf(port, key))));
}

function lanes(port) {
  if (!port.lanes.length) return null;
  const charts = LANE_KEYS.filter((key) => port.lanes.some((lane) => key in lane)).map((key) => {
    const side = key.startsWith("rx") ? "rx" : "tx";
    const points = port.lanes.filter((lane) => key in lane).map((lane) => [lane.lane, lane[key], lane.flags.filter((flag) => flag.startsWith(side))]);
    return laneChart(key, points, boundsOf(port, key));
  });
  return section("Lanes", charts.length ? el("div", { class: "charts" }, ...charts) : null, laneTable(port));
}

function laneTable(port) {
  const skip = new Set(["lane", "flags", "rx_power_watts", "tx_power_watts"]);
  const keys = [...new Set(port.lanes.flatMap((lane) => Object.keys(lane)))].filter((key) => !skip.has(key));
  const title = (key) => (QUANTITIES[key] ? `${QUANTITIES[key].label} ${QUANTITIES[key].unit}` : words(key));
  const value = (lane, key) => {
    if (!(key in lane)) return el("td", {});
    const text = QUANTITIES[key] ? number(key, lane[key]) : plain(lane[key]);
    const kind = typeof lane[key] === "number" ? verdict(lane[key], boundsOf(port, key)) : "";
    return el("td", { class: `number ${kind}` }, text, kind === "alarm" || kind === "warning" ? el("span", { class: "unseen" }, ` (${kind})`) : null);
  };
  return el("details", { "data-name": "lanes" }, el("summary", {}, "All lanes as a table"),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Lanes" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Lane"), ...keys.map((key) => el("th", { scope: "col" }, title(key))), el("th", { scope: "col" }, "Flags"))),
      el("tbody", {}, ...port.lanes.map((lane) => el("tr", {}, el("th", { scope: "row" }, String(lane.lane)), ...keys.map((key) => value(lane, key)),
        el("td", {}, lane.flags.map(words).join(", "))))))));
}

function history(port) {
  const samples = port.history ?? [];
  const time = (sample) => Date.parse(sample.time) / 1000;
  const scalar = (key) => [{ name: key, points: samples.filter((each) => key in each).map((each) => [time(each), each[key]]) }];
  const perLane = (key) => {
    const found = new Map();
    for (const each of samples) {
      for (const lane of each.lanes ?? []) {
        if (!(key in lane)) continue;
        if (!found.has(lane.lane)) found.set(lane.lane, []);
        found.get(lane.lane).push([time(each), lane[key]]);
      }
    }
    return [...found].map(([name, points]) => ({ name, points }));
  };
  const charts = [
    sparkline("temperature_celsius", scalar("temperature_celsius"), port.thresholds.temperature_celsius),
    sparkline("rx_power_dbm", perLane("rx_power_dbm"), boundsOf(port, "rx_power_dbm")),
    sparkline("tx_bias_amperes", perLane("tx_bias_amperes"), port.thresholds.tx_bias_amperes),
    sparkline("pre_fec_ber_ratio", scalar("pre_fec_ber_ratio")),
  ].filter(Boolean);
  return charts.length ? section("History", el("div", { class: "sparks" }, ...charts)) : null;
}

function happened(port) {
  return section("What happened", timeline(port.events ?? []));
}

const IDENTITY = [
  ["vendor_name", "Vendor"], ["part_number", "Part number"], ["vendor_revision", "Revision"], ["serial_number", "Serial number"],
  ["date_code", "Made"], ["form_factor", "Form factor"], ["memory_map", "Memory map"], ["revision", "Map revision"],
  ["firmware_revision", "Firmware"], ["media_technology", "Technology"], ["media", "Media"], ["connector", "Connector"],
  ["wavelength_nm", "Wavelength", " nm"], ["max_power_watts", "Power", " W"], ["cable_length_meters", "Cable", " m"],
  ["vendor_oui", "OUI"], ["calibration", "Calibration"],
];

function identity(port) {
  const facts = IDENTITY.filter(([key]) => port.module[key] !== undefined).flatMap(([key, name, unit]) => [el("dt", {}, name), el("dd", {}, `${plain(port.module[key])}${unit ?? ""}`)]);
  if (port.module_state) facts.push(el("dt", {}, "State"), el("dd", {}, port.module_state));
  if (port.source) facts.push(el("dt", {}, "Read by"), el("dd", {}, port.source));
  const bad = Object.entries(port.module.checksums_valid ?? {}).filter(([, valid]) => !valid).map(([name]) => name);
  if (bad.length) facts.push(el("dt", {}, "Checksums wrong"), el("dd", { class: "alarm" }, bad.join(", ")));
  return facts.length ? section("Module", el("dl", { class: "facts" }, ...facts)) : null;
}

function silent(port) {
  if (!port.module.vendor_name && !port.lanes.length) return null;
  const has = new Set([...Object.keys(port.values), ...port.lanes.flatMap((lane) => Object.keys(lane))]);
  const unread = new Set(port.unread);
  const missing = Object.entries(USUAL).filter(([key]) => !has.has(key) && !unread.has(key)).map(([, name]) => name);
  const bare = Object.entries(USUAL).filter(([key]) => has.has(key) && !Object.keys(port.thresholds[key] ?? {}).length).map(([, name]) => name);
  const rows = [];
  if (missing.length) rows.push(["Not offered by this module", missing.join(", ")]);
  if (bare.length) rows.push(["Without thresholds", bare.join(", ")]);
  if (unread.size) rows.push(["Offered, but could not be read", [...unread].map(words).join(", ")]);
  for (const each of port.errors ?? []) rows.push([words(each.reason), each.detail]);
  if (!rows.length) return null;
  return section("What is not known", el("dl", { class: "facts" }, ...rows.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])));
}

function more(port) {
  const parts = [];
  const table = (name, rows) => rows?.length && parts.push(el("details", { "data-name": name }, el("summary", {}, name), evidence({ [name]: rows })));
  table("Applications", port.module.applications);
  table("VDM", port.vdm);
  const records = [["Coherent", port.coherent], ["Tuning", port.tunable], ["FEC", port.fec]];
  for (const [name, record] of records) {
    if (!record) continue;
    const rows = Object.entries(record).map(([quantity, value]) => ({ quantity: words(quantity), ...(typeof value === "object" ? value : { value }) }));
    table(name, rows);
  }
  const flags = port.flags?.length ? el("p", {}, `Flags of the module: ${port.flags.map(words).join(", ")}.`) : null;
  const url = `api/v1/ports/${encodeURIComponent(port.port)}?device=${encodeURIComponent(port.device)}`;
  return section("More", flags, ...parts, el("p", {}, el("a", { href: url }, "This port as JSON"), port.time ? `, read ${ago(Date.now() / 1000 - Date.parse(port.time) / 1000)} ago` : ""));
}

