// Zones and masks, drawn upon a camera's picture with a pointer or the keyboard.
import { drawing, element } from "./messages.js";
import { zoneFields } from "./zonefields.js";

const MOST_CORNERS = 64;
const STEP = 0.01; // of the picture's sides, that an arrow key moves; with Shift five times as much
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const DRAWING = "Click the corners, or move the cross with the arrow keys and set a corner with Enter. "
  + "Backspace takes the last one back. Escape, or Done, ends.";

export class PolygonEditor {
  // `svg` lies over the picture; `changed` is called with each edit; `tell` shows a sentence.
  constructor(svg, list, { changed, tell }) {
    Object.assign(this, { svg, list, changed, tell, shapes: [], chosen: null, draws: false, cross: [0.5, 0.5], size: [16, 9] });
    svg.addEventListener("pointerdown", (event) => this.press(event));
    svg.addEventListener("keydown", (event) => this.key(event));
  }

  // `zones`: by name, with points and min_duration; `mask`: lists of points; both as shares of the picture.
  load({ zones, mask }) {
    this.shapes = [
      ...Object.entries(zones).map(([name, zone]) => ({ kind: "zone", name, points: zone.points, stay: zone.min_duration })),
      ...mask.map((points) => ({ kind: "mask", name: "", points })),
    ];
    this.chosen = null;
    this.draws = false;
    this.show();
  }

  fit(width, height) {
    if (this.size[0] === width && this.size[1] === height) return;
    this.size = [width, height];
    this.show();
  }

  begin(kind, name) {
    this.finish();
    if (kind === "zone" && this.shapes.some((one) => one.name === name)) return this.tell(`There is a zone ${name} already.`);
    this.chosen = { kind, name, points: [], stay: 0 };
    this.shapes.push(this.chosen);
    this.draws = true;
    this.tell(DRAWING);
    this.show();
    this.svg.focus();
  }

  finish() {
    if (!this.draws) return;
    this.draws = false;
    if (this.chosen.points.length < 3) {
      this.shapes = this.shapes.filter((one) => one !== this.chosen);
      this.chosen = null;
      this.tell("A polygon needs three corners: it was left out.");
    } else {
      this.tell("");
      this.changed(this.chosen);
    }
    this.show();
  }

  remove(shape) {
    this.draws = false;
    this.chosen = null;
    this.shapes = this.shapes.filter((one) => one !== shape);
    this.changed({ ...shape, points: null });
    this.show();
    this.svg.focus();
  }

  // Returns whether it may be called that.
  rename(zone, name) {
    if (this.shapes.some((one) => one.kind === "zone" && one.name === name)) {
      this.tell(`There is a zone ${name} already.`);
      return false;
    }
    this.changed({ ...zone, points: null });
    zone.name = name;
    this.changed(zone);
    this.tell("Where required_zones names it, change that in config.toml first.");
    this.paint();
    return true;
  }

  masks() { return this.shapes.filter((one) => one.kind === "mask").map((one) => one.points); }

  place(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [share(x / this.size[0]), share(y / this.size[1])];
  }

  press(event) {
    if (this.draws) {
      this.add(this.place(event));
      event.preventDefault();
      this.svg.focus();
      return;
    }
    const corner = event.target.dataset?.corner;
    if (corner === undefined) return;
    const move = (moved) => this.move(Number(corner), this.place(moved));
    const end = () => {
      this.svg.removeEventListener("pointermove", move);
      this.changed(this.chosen);
    };
    this.svg.setPointerCapture(event.pointerId);
    this.svg.addEventListener("pointermove", move);
    this.svg.addEventListener("pointerup", end, { once: true });
  }

  key(event) {
    const arrow = ARROWS[event.key]?.map((way) => way * STEP * (event.shiftKey ? 5 : 1));
    const corner = event.target.dataset?.corner;
    if (this.draws) {
      if (arrow) this.cross = this.cross.map((side, i) => share(side + arrow[i]));
      else if (event.key === "Enter") this.add(this.cross);
      else if (event.key === "Backspace") this.chosen.points = this.chosen.points.slice(0, -1);
      else if (event.key === "Escape") this.finish();
      else return;
      this.show();
    } else if (corner !== undefined && arrow) {
      this.move(Number(corner), this.chosen.points[corner].map((side, i) => share(side + arrow[i])));
      this.changed(this.chosen);
    } else if (corner !== undefined && event.key === "Delete" && this.chosen.points.length > 3) {
      this.chosen.points = this.chosen.points.filter((_, i) => i !== Number(corner));
      this.changed(this.chosen);
      this.show();
    } else return;
    event.preventDefault();
  }

  add(point) {
    if (this.chosen.points.length >= MOST_CORNERS) return this.tell(`A polygon has ${MOST_CORNERS} corners at most.`);
    this.chosen.points = [...this.chosen.points, point];
    this.cross = point;
    this.show();
  }

  move(corner, point) {
    this.chosen.points = this.chosen.points.map((one, i) => (i === corner ? point : one));
    this.show();
    this.svg.querySelector(`[data-corner="${corner}"]`)?.focus();
  }

  show() {
    this.paint();
    this.listShapes();
  }

  paint() {
    const [width, height] = this.size;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const at = ([x, y]) => [x * width, y * height];
    const parts = this.shapes.flatMap((shape) => {
      const outline = drawing(shape === this.chosen && this.draws ? "polyline" : "polygon", {
        points: shape.points.map((point) => at(point).join()).join(" "),
        class: `${shape.kind}${shape === this.chosen ? " chosen" : ""}`,
      });
      if (!shape.name || !shape.points.length) return [outline];
      const [x, y] = at(shape.points[0]);
      const name = drawing("text", { x: x + width / 100, y: y + height / 20, "font-size": Math.max(8, height / 22) });
      name.textContent = shape.name;
      return [outline, name];
    });
    if (this.chosen) parts.push(...this.chosen.points.map((point, i) => this.corner(point, i, at)));
    if (this.draws) parts.push(cross(at(this.cross), height / 30));
    this.svg.replaceChildren(...parts);
    this.svg.classList.toggle("draws", this.draws);
  }

  corner(point, i, at) {
    const [cx, cy] = at(point);
    const about = `Corner ${i + 1} of ${this.chosen.name || "the mask"} at ${point.map((side) => side.toFixed(2)).join(", ")}`;
    const given = { cx, cy, r: this.size[0] / 80, class: "corner", "data-corner": i };
    return drawing("circle", this.draws ? given : { ...given, tabindex: 0, role: "button", "aria-label": about });
  }

  // `named` shows its new name, without a new list, in which who tabs on would lose his place.
  fields(zone, named) {
    return zoneFields(zone, {
      rename: (name) => this.rename(zone, name) && (named(), true),
      stay: (seconds) => {
        zone.stay = seconds;
        this.changed(zone);
      },
    });
  }

  listShapes() {
    const rows = this.shapes.map((shape) => {
      const row = element("li");
      const choose = element("button");
      const remove = element("button", "Remove");
      const named = () => {
        const name = shape.name || `mask ${this.masks().indexOf(shape.points) + 1}`;
        choose.textContent = `${name} (${shape.points.length} corners)`;
        remove.setAttribute("aria-label", `Remove ${name}`);
      };
      named();
      choose.type = "button";
      choose.setAttribute("aria-pressed", shape === this.chosen);
      choose.addEventListener("click", () => {
        this.finish();
        this.chosen = this.chosen === shape ? null : shape;
        this.tell(this.chosen ? "Drag a corner, or go to it with Tab and move it with the arrow keys; Delete removes it." : "");
        this.show();
      });
      remove.type = "button";
      remove.addEventListener("click", () => this.remove(shape));
      row.append(choose, remove);
      if (shape === this.chosen && shape.kind === "zone" && !this.draws) row.append(this.fields(shape, named));
      return row;
    });
    this.list.replaceChildren(...(rows.length ? rows : [element("li", "none")]));
  }
}

function cross([x, y], arm) {
  return drawing("path", { d: `M${x - arm} ${y}h${2 * arm}M${x} ${y - arm}v${2 * arm}`, class: "cross" });
}

function share(side) { return Math.round(Math.min(1, Math.max(0, side)) * 1000) / 1000; }
