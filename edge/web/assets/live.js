// The live view: each camera's newest picture, with the people of that picture drawn over it.
import { element } from "./messages.js";

const TRAIL = 45; // feet that a trail is made of
const RATE_SECONDS = 5; // over which frame rates are averaged
const COLOURS = ["#ff5c5c", "#38d9f5", "#ffd43b", "#d37bff", "#5b9dff", "#7bed9f", "#ffa94d", "#ff9ecb"];

export class LiveView {
  constructor(place) {
    this.place = place;
    this.panels = new Map();
    this.states = [];
  }

  cameras() { return [...this.panels.keys()]; }

  // Returns whether other cameras are there now.
  takeState(state) {
    const names = Object.keys(state.health.cameras);
    const before = this.cameras().join();
    for (const name of this.cameras()) if (!names.includes(name)) { this.panels.get(name).remove(); this.panels.delete(name); }
    for (const name of names) if (!this.panels.has(name)) this.panels.set(name, new Panel(this.place, name));
    if (this.states.length && state.at < this.states.at(-1).at) this.states = []; // the device has restarted
    this.states.push(state);
    while (this.states.length > 2 && state.at - this.states[1].at > RATE_SECONDS) this.states.shift();
    const oldest = this.states[0];
    for (const [name, panel] of this.panels) {
      const seconds = state.at - oldest.at;
      const rate = seconds > 0 ? (state.frames[name] - (oldest.frames[name] ?? 0)) / seconds : null;
      panel.showState(state.health.cameras[name], rate, state.latency_ms.capture_to_outbox);
    }
    return this.cameras().join() !== before;
  }

  takeFrame(frame) { this.panels.get(frame.about.camera)?.showFrame(frame); }
}

// One camera. `onsize`: called with the size of a picture whenever it is another one.
export class Panel {
  constructor(place, name) {
    this.figure = element("figure");
    this.picture = element("div", "", "picture");
    this.canvas = element("canvas");
    Object.assign(this.canvas, { width: 960, height: 540 });
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `Picture of camera ${name}`);
    this.picture.append(this.canvas);
    const caption = element("figcaption");
    const title = element("h3", name);
    this.state = element("span");
    title.append(this.state);
    this.figures = element("div", "", "figures");
    this.seen = element("ul", "", "seen");
    caption.append(title, this.figures, this.seen);
    this.figure.append(this.picture, caption);
    this.figure.dataset.camera = name;
    place.append(this.figure);
    this.trails = new Map();
    this.busy = false;
    this.drawn = 0;
    this.onsize = () => {};
  }

  remove() { this.figure.remove(); }

  showState(state, rate, latency) {
    this.state.textContent = state;
    this.state.className = state === "online" ? "good" : "bad";
    const words = [];
    if (rate !== null) words.push(`${rate.toFixed(1)} frames a second`);
    if (latency) words.push(`${latency.p50.toFixed(0)} ms from capture to event (95 %: ${latency.p95.toFixed(0)} ms)`);
    this.figures.textContent = words.join(" · ");
    this.figure.classList.toggle("off", state !== "online");
  }

  async showFrame({ about, picture, motion }) {
    if (this.busy) return; // the newest is drawn, none waits
    this.busy = true;
    try {
      const images = await Promise.all([picture, motion].map((one) => (one ? createImageBitmap(one) : null)));
      this.draw(about.people, ...images);
    } finally {
      this.busy = false;
    }
  }

  draw(people, picture, motion) {
    const { canvas } = this;
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    if (canvas.dataset.size !== `${canvas.width}x${canvas.height}`) {
      canvas.dataset.size = `${canvas.width}x${canvas.height}`;
      this.onsize(canvas.width, canvas.height);
    }
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    picture.close();
    if (motion) layOver(context, motion);
    canvas.dataset.motion = Boolean(motion);
    this.follow(people);
    for (const person of people) this.drawTrail(context, person);
    for (const person of people) this.drawPerson(context, person);
    this.list(people);
    canvas.dataset.drawn = ++this.drawn;
    canvas.dataset.people = people.length;
  }

  follow(people) {
    const live = new Map();
    for (const { tube, box } of people) {
      live.set(tube, [...(this.trails.get(tube) ?? []), [(box[0] + box[2]) / 2, box[3]]].slice(-TRAIL));
    }
    this.trails = live;
  }

  drawTrail(context, { tube }) {
    const { width, height } = this.canvas;
    context.strokeStyle = colour(tube);
    context.lineWidth = Math.max(1.5, width / 400);
    context.beginPath();
    for (const [x, y] of this.trails.get(tube)) context.lineTo(x * width, y * height);
    context.stroke();
  }

  drawPerson(context, person) {
    const { width, height } = this.canvas;
    const [x1, y1, x2, y2] = person.box.map((side, i) => Math.min(1, Math.max(0, side)) * (i % 2 ? height : width));
    const told = Object.entries(person.open);
    context.strokeStyle = colour(person.tube);
    context.lineWidth = told.length ? Math.max(3, width / 200) : 1.5;
    context.setLineDash(person.observed ? [] : [6, 6]);
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.setLineDash([]);
    const text = label(person);
    const size = Math.max(12, Math.round(width / 45));
    context.font = `${told.length ? "bold " : ""}${size}px system-ui, sans-serif`;
    const wide = context.measureText(text).width + 8;
    const left = Math.max(0, Math.min(x1, width - wide));
    const top = Math.max(0, y1 - size - 6);
    context.fillStyle = colour(person.tube);
    context.fillRect(left, top, wide, size + 6);
    context.fillStyle = "#101418";
    context.fillText(text, left + 4, top + size);
  }

  list(people) {
    const words = people.filter((one) => Object.keys(one.open).length).map(label);
    const text = words.join(", ") || "no event open";
    if (this.seen.textContent !== text) {
      this.seen.replaceChildren(element("li", text));
    }
  }
}

// The motion map upon the picture: black leaves it as it is.
function layOver(context, motion) {
  context.globalCompositeOperation = "screen";
  context.globalAlpha = 0.7;
  context.drawImage(motion, 0, 0, context.canvas.width, context.canvas.height);
  context.globalCompositeOperation = "source-over";
  context.globalAlpha = 1;
  motion.close();
}

function label(person) {
  const told = Object.entries(person.open).map(([action, score]) => `${action} ${score.toFixed(2)}`);
  return `${told.join(", ") || `${person.action} ${person.score.toFixed(2)}`} #${person.tube}`;
}

function colour(tube) { return COLOURS[tube % COLOURS.length]; }
