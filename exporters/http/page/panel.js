// The front panel: every port a square, in banks of two rows, as the metal has them.

import { LEVELS, LEVEL_WORDS, QUANTITIES, el, put, range, withUnit, without } from "./format.js";
import { keyOf, matches, on, setLevels, store } from "./store.js";

const BANK = 64;
const FEW = 4;
const cells = new Map(); // key -> {node, level, label, ...}
let colour = "";
let opened = ""; // the key whose port is shown in full
let current = ""; // the key that Tab reaches

export function startPanel(openPort) {
  const groups = document.getElementById("groups");
  groups.addEventListener("click", (event) => {
    const cell = event.target.closest(".cell");
    if (cell) openPort(store.rows.get(cell.dataset.key), cell);
  });
  groups.addEventListener("keydown", move);
  tips(groups);
  addEventListener("port-opened", ({ detail }) => mark(keyOf(detail.device, detail.port)));
  addEventListener("port-closed", () => mark(""));
  document.getElementById("colour").addEventListener("change", (event) => {
    colour = event.target.value;
    paint(store.order);
  });
  on("rows", (changed) => {
    if (cells.size !== store.rows.size || [...changed].some((key) => cells.get(key)?.group !== store.rows.get(key)?.group)) build();
    paint(colour ? store.order : changed); // a scale depends on all of them
    legend();
  });
  on("filter", () => {
    paint(store.order);
    legend();
  });
}

// ---- building ----

function build() {
  cells.clear();
  const [named, engines] = [new Map(), new Map()];
  const devices = new Set([...store.rows.values()].map((row) => row.device));
  for (const key of store.order) {
    const row = store.rows.get(key);
    const name = `${devices.size > 1 ? `${row.device} · ` : ""}${row.engine ? "Engine " : ""}${row.group}`;
    const groups = row.engine ? engines : named;
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(key);
  }
  const banks = [...merge(named), ...gathered(engines)].flatMap(([name, keys]) => split(name, keys));
  const largest = Math.max(...banks.map(([, keys]) => keys.length), 1);
  const groups = document.getElementById("groups");
  groups.style.setProperty("--columns", Math.max(8, Math.ceil(Math.min(largest, BANK) / 2)));
  groups.classList.toggle("roomy", store.order.length <= BANK);
  groups.replaceChildren(...banks.map(([name, keys]) => bank(name, keys)));
  current = store.order[0] ?? "";
  cells.get(current)?.node.setAttribute("tabindex", "0");
  mark(opened);
}

// Line cards of one or two ports are no line cards: then the device is the group.
function merge(named) {
  const groups = [...named];
  const keys = groups.flatMap(([, members]) => members);
  if (groups.length < 2 || keys.length / groups.length > 3) return groups;
  const joined = new Map();
  for (const key of keys) {
    const { device } = store.rows.get(key);
    if (!joined.has(device)) joined.set(device, []);
    joined.get(device).push(key);
  }
  return [...joined];
}

// Many engines of a few ports each would be more names than ports.
function gathered(engines) {
  const keys = [...engines.values()].flat();
  return engines.size > 8 && keys.length / engines.size <= FEW ? [["Engines", keys]] : [...engines];
}

function split(name, keys) {
  if (keys.length <= BANK) return [[name, keys]];
  const parts = [];
  for (let at = 0; at < keys.length; at += BANK) {
    const part = keys.slice(at, at + BANK);
    const [first, last] = [part[0], part.at(-1)].map((key) => store.rows.get(key).port);
    parts.push([`${name === "Engines" ? "Engines: " : ""}${first} – ${last}`, part]);
  }
  return parts;
}

function bank(name, keys) {
  const list = el("ul", { class: "cells" }, ...keys.map(cell));
  list.style.setProperty("--rows", keys.length > 1 ? 2 : 1);
  return el("section", { class: "bank", "aria-label": name }, el("h3", {}, name), list);
}

function cell(key) {
  const { port, group } = store.rows.get(key);
  const short = /(\d+)\D*$/.exec(port)?.[1] ?? port.slice(-3);
  const node = el("button", { type: "button", class: "cell", tabindex: "-1", "data-key": key }, el("span", {}, short));
  cells.set(key, { node, group, level: "", label: "", heat: "", dim: false });
  return el("li", {}, node);
}

function mark(key) {
  opened = key;
  for (const { node } of cells.values()) node.removeAttribute("aria-current");
  cells.get(key)?.node.setAttribute("aria-current", "true");
}

// ---- painting ----

function paint(keys) {
  const scale = colour ? scaleOf(colour) : null;
  for (const key of keys) {
    const row = store.rows.get(key);
    const known = cells.get(key);
    if (!row || !known) continue;
    if (known.level !== row.level) {
      known.node.dataset.level = row.level;
      known.level = row.level;
    }
    const label = `${row.port}: ${LEVEL_WORDS[row.level]}${row.why.length ? `, ${without(row.port, row.why[0])}` : ""}`;
    if (known.label !== label) {
      known.node.setAttribute("aria-label", label);
      known.label = label;
    }
    const dim = !matches(row);
    if (known.dim !== dim) known.node.classList.toggle("dim", (known.dim = dim));
    const heat = scale ? scale(row) : "";
    const shown = scale ? heat || "none" : "";
    if (known.heat !== shown) {
      known.heat = shown;
      known.node.classList.toggle("heat", heat !== "");
      known.node.classList.toggle("void", Boolean(scale) && heat === "");
      known.node.style.setProperty("--heat", heat || "transparent");
    }
  }
  showScale(scale);
}

// Dark to bright and readable without colour vision.
const STOPS = [[49, 27, 96], [38, 88, 138], [33, 145, 135], [110, 200, 88], [253, 220, 60]];

function gradient(share) {
  const place = Math.min(0.9999, Math.max(0, share)) * (STOPS.length - 1);
  const [from, to] = [STOPS[Math.floor(place)], STOPS[Math.floor(place) + 1]];
  return `rgb(${from.map((part, at) => Math.round(part + (to[at] - part) * (place % 1))).join(" ")})`;
}

function scaleOf(key) {
  const worst = key === "rx_power_dbm" ? 0 : 1; // the end of the range that matters
  const take = (row) => {
    const value = row.values[key]?.[worst];
    if (value === undefined || (key.endsWith("_dbm") && value <= -40)) return undefined;
    return key === "pre_fec_ber_ratio" ? Math.log10(Math.max(value, 1e-15)) : value;
  };
  const values = [...store.rows.values()].map(take).filter((value) => value !== undefined);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const scale = (row) => {
    const value = take(row);
    return value === undefined ? "" : gradient(high > low ? (value - low) / (high - low) : 0.5);
  };
  const shown = (value) => withUnit(key, key === "pre_fec_ber_ratio" ? 10 ** value : value);
  scale.text = values.length ? [QUANTITIES[key].label, shown(low), shown(high)] : null;
  return scale;
}

function showScale(scale) {
  const node = document.getElementById("scale");
  node.hidden = !scale;
  if (!scale) return;
  if (!scale.text) return node.replaceChildren("No port has such a value.");
  const [label, low, high] = scale.text;
  node.replaceChildren(el("span", {}, `${label}: ${low}`), el("i", { "aria-hidden": "true" }), el("span", {}, high));
}

// ---- legend: how many of each, and a filter ----

let chips = null;

function legend() {
  const counts = Object.fromEntries(LEVELS.map((level) => [level, 0]));
  let shown = 0;
  for (const row of store.rows.values()) {
    counts[row.level] += 1;
    shown += matches(row);
  }
  const filtered = store.levels.size || store.query.trim();
  put(document.getElementById("ports-count"), filtered ? `${shown} of ${store.rows.size}` : String(store.rows.size));
  const title = counts.critical + counts.unreadable;
  document.title = title ? `(${title}) opticd` : "opticd";
  chips ??= makeChips();
  for (const [level, { node, count }] of chips) {
    put(count, String(counts[level]));
    node.parentNode.hidden = !counts[level] && !store.levels.has(level);
    node.setAttribute("aria-pressed", store.levels.has(level));
  }
}

function makeChips() {
  const made = new Map();
  const list = document.getElementById("legend");
  for (const level of LEVELS) {
    const count = el("b");
    const toggle = () => {
      const levels = new Set(store.levels);
      if (!levels.delete(level)) levels.add(level);
      setLevels(levels);
    };
    const node = el("button", { type: "button", class: "chip", "data-level": level, "aria-pressed": "false", onclick: toggle },
      el("i", { class: "cell", "data-level": level, "aria-hidden": "true" }), count, ` ${LEVEL_WORDS[level]}`);
    made.set(level, { node, count });
    list.append(el("li", {}, node));
  }
  return made;
}

// ---- keys: arrows walk, Enter opens (a button does that by itself) ----

function move(event) {
  const cell = event.target.closest(".cell");
  const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
  if (!cell) return;
  const all = [...cells.values()].map((known) => known.node);
  let next = null;
  if (event.key === "Home") next = all[0];
  else if (event.key === "End") next = all.at(-1);
  else if (step) next = neighbour(cell, all, step);
  else return;
  event.preventDefault();
  if (next) focusCell(next);
}

// The nearest square in that direction, whatever the layout is.
function neighbour(cell, all, [right, down]) {
  const here = cell.getBoundingClientRect();
  let best = null;
  let least = Infinity;
  for (const other of all) {
    const there = other.getBoundingClientRect();
    const [along, across] = right
      ? [(there.left - here.left) * right, Math.abs(there.top - here.top)]
      : [(there.top - here.top) * down, Math.abs(there.left - here.left)];
    const cost = along + across * 3;
    if (along > 1 && cost < least) [best, least] = [other, cost];
  }
  return best;
}

function focusCell(node) {
  cells.get(current)?.node.setAttribute("tabindex", "-1");
  current = node.dataset.key;
  node.setAttribute("tabindex", "0");
  node.focus();
}

export function focusPort(device, port) {
  const known = cells.get(keyOf(device, port));
  if (known) focusCell(known.node);
}

// ---- tips ----

function tips(groups) {
  const tip = document.getElementById("tip");
  const show = (event) => {
    const cell = event.target.closest(".cell");
    const row = cell && store.rows.get(cell.dataset.key);
    if (!row) return hide();
    tip.replaceChildren(...tipText(row));
    tip.hidden = false;
    const box = cell.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
    const above = box.top > tip.offsetHeight + 12;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(above ? box.top - tip.offsetHeight - 8 : box.bottom + 8) + scrollY}px`;
  };
  const hide = () => (tip.hidden = true);
  groups.addEventListener("pointerover", (event) => event.pointerType === "mouse" && show(event));
  groups.addEventListener("pointerleave", hide);
  groups.addEventListener("focusin", (event) => event.target.matches(":focus-visible") && show(event));
  groups.addEventListener("focusout", hide);
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
}

function tipText(row) {
  const module = [row.module.vendor_name, row.module.part_number].filter(Boolean).join(" ");
  const facts = ["temperature_celsius", "rx_power_dbm", "tx_power_dbm", "pre_fec_ber_ratio"]
    .filter((key) => key in row.values)
    .flatMap((key) => [el("dt", {}, QUANTITIES[key].label), el("dd", {}, `${range(key, row.values[key])} ${QUANTITIES[key].unit}`)]);
  return [
    el("p", { class: "name" }, el("b", {}, row.port), el("span", { class: "badge", "data-level": row.level }, LEVEL_WORDS[row.level])),
    module && el("p", {}, module),
    ...row.why.slice(0, 2).map((why) => el("p", { class: "why" }, without(row.port, why))),
    facts.length ? el("dl", {}, ...facts) : null,
  ].filter(Boolean);
}

