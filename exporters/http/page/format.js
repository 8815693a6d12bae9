// Numbers for people's eyes: dBm, mA, few digits. The API keeps base units and every digit.

export const LEVELS = ["critical", "unreadable", "warning", "notice", "down", "ok", "disabled", "absent"];

export const LEVEL_WORDS = {
  critical: "critical", unreadable: "unreadable", warning: "warning", notice: "notice",
  down: "link down", ok: "fine", disabled: "shut down", absent: "empty",
};

const MINUS = "\u2212";

export const QUANTITIES = {
  temperature_celsius: { label: "Temperature", unit: "°C", digits: 1, factor: 1 },
  supply_voltage_volts: { label: "Supply", unit: "V", digits: 2, factor: 1 },
  rx_power_dbm: { label: "Rx power", unit: "dBm", digits: 2, factor: 1 },
  tx_power_dbm: { label: "Tx power", unit: "dBm", digits: 2, factor: 1 },
  tx_bias_amperes: { label: "Laser bias", unit: "mA", digits: 1, factor: 1000 },
  pre_fec_ber_ratio: { label: "Pre-FEC BER", unit: "", digits: 1, factor: 1, exponent: true },
  snr_db: { label: "SNR", unit: "dB", digits: 1, factor: 1 },
  laser_temperature_celsius: { label: "Laser temperature", unit: "°C", digits: 1, factor: 1 },
  tec_current_ratio: { label: "TEC current", unit: "%", digits: 1, factor: 100 },
};

export function number(key, value) {
  const { digits, factor, exponent } = QUANTITIES[key] ?? { digits: 3, factor: 1 };
  const scaled = value * factor;
  if (exponent) return scaled === 0 ? "0" : scaled.toExponential(digits).replace("e-", `e${MINUS}`).replace("e+", "e");
  if (key.endsWith("_dbm") && value <= -40) return "dark";
  return scaled.toFixed(digits).replace("-", MINUS);
}

export function withUnit(key, value) {
  const text = number(key, value);
  const unit = QUANTITIES[key]?.unit ?? "";
  return unit && text !== "dark" ? `${text} ${unit}` : text;
}

export function range(key, pair) {
  if (!pair) return "";
  const [low, high] = [number(key, pair[0]), number(key, pair[1])];
  return low === high ? low : `${low} … ${high}`;
}

export function plain(value) {
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) || value === 0) return String(value).replace("-", MINUS);
  const size = Math.abs(value);
  const text = size < 1e-3 || size >= 1e6 ? value.toExponential(2) : value.toPrecision(5).replace(/\.?0+$/, "");
  return text.replaceAll("-", MINUS);
}

const HOURS = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
export const hours = (value) => HOURS.format(value);

export const dbm = (watts) => (watts > 0 ? 10 * Math.log10(watts) + 30 : -40);

// A summary stands alone in MQTT; beside the name of its port it need not say it again.
export function without(name, summary) {
  const rest = summary.startsWith(name) ? summary.slice(name.length).replace(/^:?\s*/, "") : summary;
  return sentence(rest || summary).replaceAll(" degC", " °C").replaceAll(/(?<![\w-])-(?=\d)/g, MINUS);
}

export const withoutLane = (text) => sentence(text.replace(/^lane \d+:?\s*/i, ""));

// 1, 2, 3, 7: "1–3, 7"
export function lanesOf(lanes) {
  const runs = [];
  for (const lane of [...lanes].sort((one, other) => one - other)) {
    const last = runs.at(-1);
    if (last && lane === last[1] + 1) last[1] = lane;
    else runs.push([lane, lane]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : last === first + 1 ? `${first}, ${last}` : `${first}\u2013${last}`)).join(", ");
}

const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : text);

export function words(name) {
  return name.replaceAll("_", " ");
}

export function ago(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
}

export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString([], { hour12: false, dateStyle: "medium", timeStyle: "medium" });
}

// Ethernet2 before Ethernet10
const collator = new Intl.Collator("en", { numeric: true });
export const natural = collator.compare;

// el("p", {class: "x"}, "text", child): text is never taken for markup.
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
