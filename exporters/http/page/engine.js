// What a port shares with others: its engine, and the lasers that feed it or that it has.

import { el, lanesOf, natural, number, plain, words } from "./format.js";
import { store } from "./store.js";

const KNOWN = new Set(["laser", "source", "state", "enabled", "fiber", "fiber_checked", "tx_power_watts", "tx_power_dbm", "tx_bias_amperes", "flags", "feeds"]);
const UNITS = { celsius: "°C", volts: "V", hertz: "THz", ratio: "%", amperes: "mA" };
const FACTORS = { hertz: 1e-12, ratio: 100, amperes: 1000 };

export function engine(port) {
  const rows = [...store.rows.values()].filter((row) => row.device === port.device);
  const name = port.engine?.port ?? (rows.some((row) => row.engine === port.port) ? port.port : "");
  const lasers = port.fed_by ?? port.lasers ?? [];
  if (!name && !lasers.length) return null;
  const parts = rows.filter((row) => row.engine === name && row.port !== port.port && row.port !== name).map((row) => row.port).sort(natural);
  const links = (ports) => ports.flatMap((each, at) => [at ? ", " : "", linkTo(port.device, each)]);
  const said = [];
  if (port.engine) said.push("Host lane", port.engine.lanes.length > 1 ? "s " : " ", lanesOf(port.engine.lanes), " of engine ", linkTo(port.device, name), ".");
  else if (name) said.push("This is the engine.");
  if (name && parts.length) said.push(port.engine ? " Beside it: " : " It carries and is lit by: ", ...links(parts), ".");
  const failed = lasers.filter(fails);
  return el("section", { class: "engine" }, el("h3", {}, name ? "Engine and lasers" : "Lasers"),
    said.length ? el("p", {}, ...said) : null,
    ...failed.map((laser) => banner(port, laser, links)),
    lasers.length ? table(port, lasers, links) : null);
}

const fails = (laser) => (laser.enabled !== false && laser.state === "off") || laser.flags.some((flag) => flag.startsWith("fault"));

function linkTo(device, port) {
  return el("a", { href: `#${new URLSearchParams({ port, device })}` }, port);
}

function banner(port, laser, links) {
  const fault = laser.flags.some((flag) => flag.startsWith("fault"));
  const dark = laser.feeds ?? [];
  return el("p", { class: "banner" }, `Laser ${laser.laser}${laser.source ? ` of ${laser.source}` : ""} ${fault ? "reports a fault" : "is off"}.`,
    ...(dark.length ? [" Without its light: ", ...links(dark), "."] : []));
}

function table(port, lasers, links) {
  const more = [...new Set(lasers.flatMap((laser) => Object.keys(laser)))].filter((key) => !KNOWN.has(key));
  const sources = lasers.some((laser) => laser.source);
  const fibres = lasers.some((laser) => laser.fiber);
  const heads = [...(sources ? ["Source"] : []), "Laser", "State", "Power dBm", "Bias mA", "Flags", "Lights", ...(fibres ? ["Fibre"] : []), ...more.map(title)];
  const line = (laser) => el("tr", {},
    sources ? el("td", {}, linkTo(port.device, laser.source)) : null,
    el("th", { scope: "row" }, String(laser.laser)),
    el("td", { class: fails(laser) ? "alarm" : "" }, laser.enabled === false ? "disabled" : words(laser.state ?? "")),
    el("td", { class: "number" }, "tx_power_dbm" in laser ? number("tx_power_dbm", laser.tx_power_dbm) : ""),
    el("td", { class: "number" }, "tx_bias_amperes" in laser ? number("tx_bias_amperes", laser.tx_bias_amperes) : ""),
    el("td", {}, laser.flags.map(words).join(", ")),
    el("td", {}, ...links(laser.feeds ?? [])),
    fibres ? el("td", {}, laser.fiber ? `${laser.fiber}${laser.fiber_checked === true ? " checked" : ""}` : "") : null,
    ...more.map((key) => el("td", { class: "number" }, key in laser ? shown(key, laser[key]) : "")));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Lasers" }, el("table", {},
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...lasers.map(line))));
}

const unitOf = (key) => key.split("_").at(-1);

function title(key) {
  const unit = unitOf(key);
  const name = words(unit in UNITS ? key.slice(0, -unit.length - 1) : key);
  return `${name[0].toUpperCase()}${name.slice(1)}${unit in UNITS ? ` ${UNITS[unit]}` : ""}`;
}

const shown = (key, value) => (typeof value === "number" ? plain(value * (FACTORS[unitOf(key)] ?? 1)) : plain(value));
