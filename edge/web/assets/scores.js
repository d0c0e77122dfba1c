// One action of the view of tuning: the plot of its scores, which events they would have made, and two sliders.
import { element } from "./messages.js";
import { wouldPublish } from "./published.js";

const WIDTH = 1200;
const HEIGHT = 180;

export class ScorePlot {
  // `rules`: in force; `edits`: not in force yet; `changed` is called with the keys that differ.
  constructor(label, rules, { ratio, edits = {}, changed }) {
    Object.assign(this, { label, rules, ratio, edits: { ...edits }, changed, scores: [], step: 0.5 });
    this.card = element("li", "", "action");
    this.canvas = element("canvas");
    Object.assign(this.canvas, { width: WIDTH, height: HEIGHT });
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `Scores of ${label}`); // until there are some
    this.words = element("p", "", "figures");
    this.start = this.slider("Begins at", "start_score");
    this.keep = this.slider("Goes on at", "keep_score");
    const sliders = element("div", "", "sliders");
    sliders.append(this.start.label, this.keep.label);
    this.card.append(element("h3", label), this.canvas, this.words, sliders);
    this.card.dataset.action = label;
    this.showValues();
  }

  slider(name, key) {
    const label = element("label", name);
    const input = element("input");
    Object.assign(input, { type: "range", min: 0, max: 1, step: 0.01 });
    input.setAttribute("aria-label", `${this.label} ${name.toLowerCase()}`);
    input.dataset.key = key;
    const output = element("output");
    input.addEventListener("input", () => this.set(key, Number(input.value)));
    label.append(input, output);
    return { label, input, output };
  }

  // The values as they would be in force: a keep score that is set nowhere follows the start score.
  values() {
    const start = this.edits.start_score ?? this.rules.start_score;
    const follows = this.rules.keep_follows && this.edits.keep_score === undefined && this.edits.start_score !== undefined;
    return { start, keep: follows ? start * this.ratio : this.edits.keep_score ?? this.rules.keep_score };
  }

  set(key, value) {
    this.edits[key] = value;
    const { start, keep } = this.values();
    if (keep > start) this.edits[key === "start_score" ? "keep_score" : "start_score"] = value;
    this.changed({ ...this.edits });
    this.showValues();
    this.draw();
  }

  showValues() {
    const { start, keep } = this.values();
    for (const [{ input, output }, value] of [[this.start, start], [this.keep, keep]]) {
      input.value = value;
      output.textContent = value.toFixed(2);
    }
  }

  show(scores, step) {
    Object.assign(this, { scores, step });
    this.draw();
  }

  draw() {
    const { start, keep } = this.values();
    const rules = { start, keep, minDuration: this.rules.min_duration, cooldown: this.rules.cooldown };
    const events = wouldPublish(this.scores, this.step, rules);
    const best = this.scores.reduce((most, one) => Math.max(most, one ?? 0), 0);
    const where = this.rules.limited ? ", were it everywhere and of any size" : "";
    const text = `would have been published ${times(events.length)} in ten minutes${where}; best score ${best.toFixed(2)}`;
    if (this.words.textContent !== text) this.words.textContent = text;
    this.canvas.setAttribute("aria-label", `Scores of ${this.label}: ${text}`);
    this.card.dataset.events = events.length;
    this.paint(events, start, keep);
  }

  paint(events, start, keep) {
    const context = this.canvas.getContext("2d");
    const colours = getComputedStyle(document.documentElement);
    const colour = (name) => colours.getPropertyValue(name).trim();
    const count = Math.max(1, this.scores.length);
    const x = (place) => (place / count) * WIDTH;
    const y = (score) => HEIGHT - 2 - score * (HEIGHT - 4);
    context.fillStyle = colour("--ground");
    context.fillRect(0, 0, WIDTH, HEIGHT);
    context.fillStyle = colour("--shade");
    for (const [first, last] of events) context.fillRect(x(first), 0, Math.max(2, x(last + 1) - x(first)), HEIGHT);
    line(context, colour("--note"), [10, 6], [[0, y(start)], [WIDTH, y(start)]]);
    line(context, colour("--quiet"), [2, 6], [[0, y(keep)], [WIDTH, y(keep)]]);
    let points = [];
    this.scores.forEach((score, place) => {
      if (score !== null) points.push([x(place + 0.5), y(score)]);
      else if (points.length && this.scores[place - 1] === null) {
        line(context, colour("--accent"), [], points);
        points = [];
      }
    });
    line(context, colour("--accent"), [], points);
  }
}

function line(context, colour, dashes, points) {
  context.strokeStyle = colour;
  context.lineWidth = 3;
  context.setLineDash(dashes);
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}

function times(count) { return count === 0 ? "never" : count === 1 ? "once" : `${count} times`; }
