// Drawings without a library: lanes against their thresholds, gauges, sparklines. Every number is also in a table.

import { QUANTITIES, clock, el, number, withUnit } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const BOUNDS = ["high_alarm", "high_warning", "low_warning", "low_alarm"];

// What a value is against its thresholds: alarm, warning or fine.
export function verdict(value, bounds) {
  if (!bounds) return "";
  if (value > bounds.high_alarm || value < bounds.low_alarm) return "alarm";
  if (value > bounds.high_warning || value < bounds.low_warning) return "warning";
  return "fine";
}

// The stretch to show: all thresholds and all values but dark ones, with some air.
function stretch(values, bounds, key) {
  const limits = BOUNDS.map((bound) => bounds?.[bound]).filter((value) => value !== undefined);
  const lit = values.filter((value) => !(key.endsWith("_dbm") && value <= -40));
  const all = [...limits.filter((value) => !(key.endsWith("_dbm") && value <= -40)), ...lit];
  if (!all.length) return [-40, 5];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const air = (high - low || Math.abs(high) || 1) * 0.12;
  return [low - air, high + air];
}

function zones(bounds, [low, high], width, y) {
  if (!bounds) return [];
  const parts = [];
  const band = (from, to, kind) => {
    const [top, bottom] = [y(Math.min(high, Math.max(from, to))), y(Math.max(low, Math.min(from, to)))];
    if (bottom > top) parts.push(svg("rect", { class: `zone ${kind}`, x: 0, y: top, width, height: bottom - top }));
  };
  const { high_alarm: ha, high_warning: hw, low_warning: lw, low_alarm: la } = bounds;
  if (ha !== undefined) band(ha, high, "alarm");
  if (hw !== undefined) band(hw, ha ?? high, "warning");
  if (lw !== undefined) band(la ?? low, lw, "warning");
  if (la !== undefined) band(low, la, "alarm");
  return parts;
}

function lines(bounds, y, width, key, [low, high]) {
  const parts = [];
  const places = [];
  for (const bound of ["high_alarm", "low_alarm", "high_warning", "low_warning"]) {
    const value = bounds?.[bound];
    if (value === undefined || value < low || value > high) continue;
    const at = y(value);
    parts.push(svg("line", { class: `limit ${bound.split("_")[1]}`, x1: 0, x2: width, y1: at, y2: at }));
    if (places.some((place) => Math.abs(place - at) < 9)) continue; // a label on another is no label
    places.push(at);
    parts.push(svg("text", { class: "limit", x: width + 4, y: at + 3 }, number(key, value)));
  }
  return parts;
}

// One bar a lane: `points` is [[lane, value, flags]], flags a list of names.
export function laneChart(key, points, bounds) {
  const values = points.map(([, value]) => value);
  const span = stretch(values, bounds, key);
  const [height, step] = [132, points.length > 16 ? 14 : points.length > 4 ? 30 : 44];
  const width = points.length * step;
  const y = (value) => height - ((value - span[0]) / (span[1] - span[0])) * height;
  const bars = points.map(([lane, value, flags], at) => {
    const top = Math.min(height - 2, Math.max(0, y(value)));
    const kind = verdict(value, bounds) || "fine";
    const bar = svg("rect", { class: `bar ${kind}`, x: at * step + step * 0.22, y: top, width: step * 0.56, height: height - top, rx: 2 },
      svg("title", {}, `lane ${lane}: ${withUnit(key, value)}${flags.length ? `, ${flags.join(", ")}` : ""}`));
    const name = svg("text", { class: "lane", x: at * step + step / 2, y: height + 13 }, String(lane));
    const parts = [bar, name];
    if (step >= 30) parts.push(svg("text", { class: `value ${kind}`, x: at * step + step / 2, y: Math.max(9, top - 4) }, number(key, value)));
    if (flags.length) parts.push(svg("circle", { class: "flag", cx: at * step + step / 2, cy: height + 22, r: 3 }));
    return svg("g", {}, ...parts);
  });
  const chart = svg("svg", { viewBox: `0 -4 ${width + 44} ${height + 32}`, role: "img", "aria-label": `${QUANTITIES[key].label} of each lane, see the table of lanes` },
    ...zones(bounds, span, width, y), ...bars, ...lines(bounds, y, width, key, span));
  chart.style.maxWidth = `${(width + 44) * 1.25}px`;
  const names = [...new Set(points.flatMap(([, , flags]) => flags))].map((flag) => flag.replaceAll("_", " "));
  const flags = names.length ? el("p", { class: "flags" }, `● ${names.join(", ")}`) : null;
  return el("figure", { class: "lanes" }, el("figcaption", {}, QUANTITIES[key].label, el("small", {}, ` ${QUANTITIES[key].unit}`)), chart, flags);
}

// One value on a scale from left to right.
export function gauge(key, value, bounds) {
  const span = stretch([value], bounds, key);
  const [width, height] = [220, 14];
  const x = (each) => ((each - span[0]) / (span[1] - span[0])) * width;
  const turned = zones(bounds, span, height, (each) => width - x(each)).map((zone) => {
    const [top, tall] = [Number(zone.getAttribute("y")), Number(zone.getAttribute("height"))];
    return svg("rect", { class: zone.getAttribute("class"), x: width - top - tall, y: 0, width: tall, height });
  });
  const limits = BOUNDS.filter((bound) => bounds?.[bound] !== undefined).map((bound) =>
    svg("line", { class: `limit ${bound.split("_")[1]}`, x1: x(bounds[bound]), x2: x(bounds[bound]), y1: 0, y2: height },
      svg("title", {}, `${bound.replace("_", " ")}: ${withUnit(key, bounds[bound])}`)));
  const needle = svg("path", { class: `needle ${verdict(value, bounds) || "fine"}`, d: `M${x(value)} ${height} l-6 8 h12 z` });
  const drawing = svg("svg", { viewBox: `-8 -2 ${width + 16} ${height + 12}`, "aria-hidden": "true" },
    svg("rect", { class: "track", x: 0, y: 0, width, height, rx: 3 }), ...turned, ...limits, needle);
  return el("div", { class: "gauge" },
    el("span", { class: "what" }, QUANTITIES[key]?.label ?? key),
    el("b", { class: verdict(value, bounds) }, withUnit(key, value)), drawing);
}

// `series` is [{name, points: [[seconds, value]]}]; ratios are drawn by their exponent.
export function sparkline(key, series, bounds, { mark, words } = {}) {
  const log = QUANTITIES[key].exponent;
  const scaled = series.map(({ name, points }) => ({ name, raw: points, points: points.map(([t, v]) => [t, log ? Math.log10(Math.max(v, 1e-15)) : v]) }));
  const all = scaled.flatMap(({ points }) => points.map(([, value]) => value)).filter((value) => !(key.endsWith("_dbm") && value <= -40));
  const times = scaled.flatMap(({ points }) => points.map(([time]) => time));
  const [width, height] = [300, 56];
  if (times.length < 2 || !all.length) return null;
  let [low, high] = [Math.min(...all), Math.max(...all)];
  const least = log ? 0.5 : Math.max(Math.abs(high) * 0.01, key.endsWith("_dbm") ? 0.5 : 0) || 1; // all of them 0
  if (high - low < least) [low, high] = [low - least / 2, high + least / 2]; // noise is not to look like news
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const x = (time) => ((time - first) / (last - first || 1)) * width;
  const y = (value) => height - 3 - ((Math.max(value, low) - low) / (high - low)) * (height - 6);
  const paths = scaled.map(({ points }, at) => svg("path", {
    class: `trace t${at % 8}`, d: points.map(([t, v], n) => `${n ? "L" : "M"}${x(t).toFixed(1)} ${y(v).toFixed(1)}`).join(""),
  }, svg("title", {}, scaled.length > 1 ? `lane ${scaled[at].name}` : QUANTITIES[key].label)));
  const limits = Object.entries(bounds ?? {}).map(([bound, value]) => [bound, log ? Math.log10(value) : value])
    .filter(([, value]) => value >= low && value <= high)
    .map(([bound, value]) => svg("line", { class: `limit ${bound.split("_")[1]}`, x1: 0, x2: width, y1: y(value), y2: y(value) }));
  if (mark !== undefined) limits.push(svg("line", { class: "mark", x1: x(mark), x2: x(mark), y1: 0, y2: height }));
  const cursor = svg("line", { class: "cursor", y1: 0, y2: height, x1: -9, x2: -9 });
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" }, ...limits, ...paths, cursor);
  const newest = series.flatMap(({ points }) => points.slice(-1).map(([, value]) => value));
  const now = newest.length > 1 ? `${number(key, Math.min(...newest))} … ${number(key, Math.max(...newest))}` : number(key, newest[0]);
  const said = el("output", {}, now);
  const unit = QUANTITIES[key].unit;
  const from = number(key, log ? 10 ** low : low);
  const to = number(key, log ? 10 ** high : high);
  drawing.setAttribute("aria-label", `${words ?? QUANTITIES[key].label} from ${clock(first)} to ${clock(last)}: now ${now} ${unit}, between ${from} and ${to}`);
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const time = first + ((event.clientX - box.left) / box.width) * (last - first);
    const near = scaled.map(({ raw }) => raw.reduce((best, point) => (Math.abs(point[0] - time) < Math.abs(best[0] - time) ? point : best)));
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(near[0][0]));
    const each = near.map(([, value]) => value);
    said.textContent = `${clock(near[0][0])}  ${each.length > 1 ? `${number(key, Math.min(...each))} … ${number(key, Math.max(...each))}` : number(key, each[0])}`;
  });
  drawing.addEventListener("pointerleave", () => {
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, -9);
    said.textContent = now;
  });
  return el("figure", { class: "spark" },
    el("figcaption", {}, el("span", {}, QUANTITIES[key].label, el("small", {}, ` ${unit}`)), said), drawing,
    el("p", { class: "ends", "aria-hidden": "true" }, el("span", {}, clock(first)), el("span", {}, clock(last))));
}
