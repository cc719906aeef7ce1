// Numbers, times and sizes as an operator reads them. Pure.

/** What is not known. */
export const UNKNOWN = "–";
/** Keeps a number and its unit on one line. */
const SPACE = "\u00a0";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const rough = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** `1,234`; one decimal where a count a minute is small. */
export function count(number) {
  if (!known(number)) return UNKNOWN;
  return Math.abs(number) < 10 && !Number.isInteger(number) ? decimals(number, 1) : whole.format(number);
}

/** `12.3K`: for axes and for figures that only have to be about right. */
export function compact(number) {
  return known(number) ? rough.format(number) : UNKNOWN;
}

/** A share of 0 to 1 as a percentage, with as many decimals as tell it from none and from all. */
export function share(part) {
  if (!known(part)) return UNKNOWN;
  const percent = 100 * part;
  if (percent === 0 || percent === 100) return `${percent}${SPACE}%`;
  if (percent > 0 && percent < 0.01) return `<${SPACE}0.01${SPACE}%`;
  if (percent > 99.99 && percent < 100) return `>${SPACE}99.99${SPACE}%`;
  const fine = Math.min(Math.abs(percent), Math.abs(100 - percent));
  return `${decimals(percent, fine < 1 ? 2 : fine < 10 ? 1 : 0)}${SPACE}%`;
}

/** Milliseconds; seconds from ten thousand of them on. */
export function milliseconds(ms) {
  if (!known(ms)) return UNKNOWN;
  if (ms >= 10_000) return `${decimals(ms / 1000, 1)}${SPACE}s`;
  return `${ms < 100 ? decimals(ms, 1) : whole.format(ms)}${SPACE}ms`;
}

/** Bytes in binary units. */
export function bytes(size) {
  if (!known(size)) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = size;
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${unit > 0 && value < 10 ? decimals(value, 1) : whole.format(value)}${SPACE}${units[unit]}`;
}

/** `3 d 4 h`, `12 min`, `8 s`: the two largest units that matter. */
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  const units = [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60],
  ];
  for (const [at, [name, size]] of units.entries()) {
    if (seconds < size) continue;
    const [nextName, nextSize] = units[at + 1] ?? ["s", 1];
    const rest = Math.floor((seconds % size) / nextSize);
    const large = `${Math.floor(seconds / size)}${SPACE}${name}`;
    return rest > 0 && name !== "min" ? `${large} ${rest}${SPACE}${nextName}` : large;
  }
  return `${Math.floor(seconds)}${SPACE}s`;
}

/** The time of day, to the second. @param {number} ms since the epoch */
export function timeOfDay(ms) {
  return clock.format(ms);
}

/** Day and time, to the minute. @param {number} ms since the epoch */
export function dayAndTime(ms) {
  return known(ms) && ms > 0 ? `${day.format(ms)}, ${minute.format(ms)}` : UNKNOWN;
}

/** A step of a chart, as fine as its steps are. @param {number} s since the epoch */
export function moment(s, stepSeconds) {
  return stepSeconds < 60 ? timeOfDay(1000 * s) : dayAndTime(1000 * s);
}

/** A tick of a time axis: the day where one begins (or where days are the unit), the time elsewhere. @param {number} s since the epoch */
export function tick(s, spacing) {
  const date = new Date(1000 * s);
  const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
  if (midnight || spacing >= 86_400) return day.format(date);
  return spacing < 60 ? clock.format(date) : minute.format(date);
}

/** `1 writer`, `2 writers`. */
export function counted(number, singular, plural = `${singular}s`) {
  return `${count(number)} ${number === 1 ? singular : plural}`;
}

function known(number) {
  return typeof number === "number" && Number.isFinite(number);
}

function decimals(number, digits) {
  return number.toFixed(digits).replace(/\.0$/, "");
}
