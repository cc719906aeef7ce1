// One chart: a sentence that says what it shows, the drawing, a legend with the values under the cursor, and the same as a table.

import uPlot from "./vendor/uPlot.js";
import { element, say } from "./dom.js";
import * as format from "./format.js";
import { newest, span } from "./series.js";
import { drawn } from "./specs.js";
import { RANGES } from "./words.js";

/** The same in the style sheet. */
const HEIGHT = 148;
const FONT = "11px system-ui, sans-serif";
/** One slow answer must not press everything else flat: the axis ends at this many times the limit. */
const MOST_LIMITS = 4;
/** Moving over one chart shows the same moment in all. */
const SYNC = "time";

const styles = getComputedStyle(document.documentElement);
const colour = (name) => styles.getPropertyValue(name).trim();

export class Chart {
  #spec;
  #plot = null;
  #drawn = { lines: [], columns: [] };
  #frame = null;
  #limit = null;
  #labels = "";
  #holder;
  #sentence = element("p", { class: "note" });
  #legend = element("ul", { class: "legend" });
  #moment = element("p", { class: "hidden", "aria-live": "polite" });
  #table = element("details", { class: "as-table" }, element("summary", {}, "As a table"));
  /** The figure, to be placed on the page. */
  root;

  constructor(spec) {
    this.#spec = spec;
    this.#holder = element("div", { class: "plot", tabindex: "0", role: "img", "aria-label": spec.title });
    const title = element("h3", { id: `${spec.id}-title` }, spec.title);
    this.root = element(
      "figure",
      { class: "chart", id: `chart-${spec.id}`, "aria-labelledby": title.id },
      title,
      this.#sentence,
      this.#holder,
      this.#legend,
      this.#moment,
      this.#table,
    );
    this.#holder.addEventListener("keydown", (event) => this.#move(event));
    this.#holder.addEventListener("blur", () => this.#point(null));
    this.#table.addEventListener("toggle", () => this.#fillTable());
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.#holder);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** Shows another stretch of time, or more of it. */
  update(frame, status) {
    this.#frame = frame;
    this.#drawn = drawn(this.#spec, frame);
    this.#limit = this.#spec.limit?.(status) ?? null;
    const sentence = this.#spec.sentence(frame, status);
    say(this.#sentence, sentence);
    this.#holder.setAttribute("aria-label", `${this.#spec.title}. ${sentence} Arrow keys move through time.`);
    const empty = this.#drawn.columns.every((values) => values.every((value) => value === null));
    this.#holder.dataset.empty = empty ? RANGES[frame.range].empty : "";
    const labels = JSON.stringify([this.#drawn.lines.map(({ label }) => label), frame.range, this.#limit]);
    if (labels !== this.#labels || !this.#plot) this.#draw();
    else this.#plot.setData(this.#data());
    this.#labels = labels;
    this.#setLegend(null);
    this.#fillTable();
  }

  /** Lower areas are painted over higher ones, so those come first. What is off the scale runs along its upper edge. */
  #data() {
    const { columns } = this.#drawn;
    if (this.#spec.isStacked) return [this.#frame.at, ...columns.toReversed()];
    const edge = this.#limit ? this.#limit.value * MOST_LIMITS : Infinity;
    return [this.#frame.at, ...columns.map((values) => values.map((value) => value && Math.min(value, edge)))];
  }

  #size() {
    return { width: Math.max(160, this.#holder.clientWidth), height: HEIGHT };
  }

  #draw() {
    if (!this.#frame) return;
    this.#plot?.destroy();
    const { isStacked } = this.#spec;
    const lines = isStacked ? this.#drawn.lines.toReversed() : this.#drawn.lines;
    const axis = { stroke: colour("--soft"), font: FONT, ticks: { show: false }, grid: { stroke: colour("--line"), width: 1 } };
    const options = {
      ...this.#size(),
      // On the right half of the last time stands beyond the end.
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: SYNC, setSeries: false }, drag: { x: false, y: false }, points: { size: 6, show: !isStacked } },
      scales: {
        x: { range: () => span(this.#frame) ?? lately(this.#frame.range) },
        y: { range: (_, low, high) => [0, this.#top(high)] },
      },
      axes: [
        {
          ...axis,
          size: 22,
          gap: 4,
          space: 64,
          grid: { show: false },
          values: (_, at, __, ___, spacing) => at.map((s) => format.tick(s, spacing)),
        },
        { ...axis, size: 52, gap: 6, space: 26, incrs: this.#spec.steps, values: (_, values) => values.map(this.#spec.axis) },
      ],
      series: [
        {},
        ...lines.map((line) => ({
          stroke: colour(line.colour),
          width: isStacked ? 0 : (line.width ?? 1.5),
          dash: line.dash,
          fill: isStacked ? colour(line.colour) : undefined,
          points: { size: 4, fill: colour(line.colour) },
        })),
      ],
      hooks: {
        setCursor: [({ cursor }) => this.#setLegend(cursor.idx ?? null)],
        draw: [(plot) => this.#drawLimit(plot)],
      },
    };
    this.#plot = new uPlot(options, this.#data(), this.#holder);
  }

  #top(high) {
    const most = Math.max(high ?? 0, this.#spec.least);
    if (!this.#limit) return most * 1.1;
    const { value } = this.#limit;
    return Math.min(Math.max(most * 1.1, value * 1.25), value * MOST_LIMITS);
  }

  #drawLimit(plot) {
    if (!this.#limit) return;
    const { ctx, bbox } = plot;
    const y = plot.valToPos(this.#limit.value, "y", true);
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("--warn");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "bottom";
    const place = [this.#limit.label, bbox.left + 4 * devicePixelRatio, y - 2 * devicePixelRatio];
    // Lines run behind it.
    ctx.setLineDash([]);
    ctx.lineWidth = 4 * devicePixelRatio;
    ctx.lineJoin = "round";
    ctx.strokeStyle = colour("--ground");
    ctx.strokeText(...place);
    ctx.fillText(...place);
    ctx.restore();
  }

  /** What the lines are, and what they are worth at a step, or of late. */
  #setLegend(step) {
    const { lines } = this.#drawn;
    if (this.#legend.childElementCount !== lines.length || this.#legend.dataset.of !== this.#labels) {
      this.#legend.dataset.of = this.#labels;
      this.#legend.replaceChildren(...lines.map(legendEntry));
    }
    for (const [at, { values }] of lines.entries()) {
      say(this.#legend.children[at].lastChild, this.#spec.format(step === null ? newest(values) : values[step]));
    }
    const time = step === null ? "" : this.#time(step);
    this.root.dataset.moment = time;
  }

  #move(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") return this.#point(null);
    if (!steps || !this.#plot) return;
    event.preventDefault();
    const last = this.#frame.at.length - 1;
    // The first step that the axis reaches.
    const [first] = this.#plot.series[0].idxs ?? [0];
    const from = this.#plot.cursor.idx ?? last + 1;
    this.#point(Math.max(first, Math.min(last, from + steps)));
  }

  #point(step) {
    if (!this.#plot) return;
    if (step === null) {
      this.#plot.setCursor({ left: -10, top: -10 }, true, true);
      return;
    }
    const left = this.#plot.valToPos(this.#frame.at[step], "x");
    this.#plot.setCursor({ left, top: 0 }, true, true);
    const values = this.#drawn.lines.map(({ label, values }) => `${label} ${this.#spec.format(values[step])}`);
    say(this.#moment, `${this.#time(step)}: ${values.join(", ")}`);
  }

  #time(step) {
    return format.moment(this.#frame.at[step], this.#frame.step_s);
  }

  #fillTable() {
    this.#table.querySelector("div")?.remove();
    if (!this.#table.open || !this.#frame) return;
    const { lines } = this.#drawn;
    const head = element("tr", {}, ...["Time", ...lines.map(({ label }) => label)].map((label) => element("th", { scope: "col" }, label)));
    const rows = [];
    for (let step = this.#frame.at.length - 1; step >= 0; step -= 1) {
      if (lines.every(({ values }) => values[step] === null)) continue;
      const time = element("th", { scope: "row" }, this.#time(step));
      rows.push(element("tr", {}, time, ...lines.map(({ values }) => element("td", {}, this.#spec.format(values[step])))));
    }
    const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
    this.#table.append(
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${this.#spec.title}, as a table` }, table),
    );
  }
}

/** Where nothing is known, the axis still says which time it would be. */
function lately(range) {
  const now = Math.floor(Date.now() / 1000);
  return [now - RANGES[range].seconds, now];
}

function legendEntry({ label, colour: name, dash }) {
  const swatch = element("span", { class: dash ? "swatch dashed" : "swatch", "aria-hidden": "true" });
  swatch.style.setProperty("--swatch", `var(${name})`);
  return element("li", {}, swatch, element("span", { class: "label" }, label), element("span", { class: "value" }, ""));
}
