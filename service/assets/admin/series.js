// The columns of `GET /admin/api/history`: what is charted is made of them here. Pure. `null` is a step without a sample.

/** Column by name; one of nulls if the service has none. */
export function column({ at, series }, name) {
  return series[name] ?? at.map(() => null);
}

/** Sum of what is known; null if nothing is. */
export function total(values = []) {
  return values.reduce((sum, value) => (value === null ? sum : (sum ?? 0) + value), null);
}

/** The total of every column that counts something. @returns {Record<string, number|null>} */
export function totals({ series }) {
  return Object.fromEntries(Object.entries(series).map(([name, values]) => [name, total(values)]));
}

/** The newest value known; null if none is. */
export function newest(values = []) {
  return values.findLast((value) => value !== null) ?? null;
}

/** The largest value known; null if none is. */
export function largest(values = []) {
  return values.reduce((most, value) => (value === null || (most !== null && most >= value) ? most : value), null);
}

/** Part by whole, a step at a time; null where there is no whole. */
export function ratio(parts, wholes) {
  return parts.map((part, step) => (part === null || !wholes[step] ? null : part / wholes[step]));
}

/** One share of two numbers; null where there is no whole. */
export function shareOf(part, whole) {
  return part === null || part === undefined || !whole ? null : part / whole;
}

/** The mean of a share, each step weighing as much as it has answers; null if nothing is known. */
export function weightedMean(values, weights) {
  let sum = 0;
  let weight = 0;
  for (const [step, value] of values.entries()) {
    if (value === null || !weights[step]) continue;
    sum += value * weights[step];
    weight += weights[step];
  }
  return weight > 0 ? sum / weight : null;
}

/** Counts of a step as counts a minute. */
export function perMinute(values, stepSeconds) {
  return values.map((value) => (value === null ? null : (value * 60) / stepSeconds));
}

/** Columns added up, a step at a time. */
export function sum(columns, length) {
  return Array.from({ length }, (_, step) => total(columns.map((values) => values[step])));
}

/** Each column on top of those before it, so that the areas below them stack. */
export function stacked(columns) {
  const steps = columns[0]?.length ?? 0;
  const known = sum(columns, steps);
  const below = new Array(steps).fill(0);
  return columns.map((values) =>
    values.map((value, step) => {
      // A few keystrokes may be lost to a member; an area cannot be less than nothing.
      below[step] += Math.max(0, value ?? 0);
      return known[step] === null ? null : below[step];
    }),
  );
}

/** Names of the series that begin with `family.`, without it, most first. @returns {[string, number][]} */
export function ranked(sums, family) {
  return Object.entries(sums)
    .filter(([name, value]) => name.startsWith(`${family}.`) && value)
    .map(([name, value]) => [name.slice(family.length + 1), value])
    .sort(([, one], [, other]) => other - one);
}

/** The part of a frame that has samples, and no less than `least` steps of it, so that a young service is not a sliver. */
export function span({ at, series }, least = 60) {
  const last = at.length - 1;
  const sampled = Object.values(series);
  const begins = at.findIndex((_, step) => sampled.some((values) => values[step] !== null));
  if (begins < 0) return null;
  const step = at.length > 1 ? at[1] - at[0] : 1;
  return [Math.min(at[begins], at[last] - least * step), at[last]];
}
