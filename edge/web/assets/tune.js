// The view of tuning: sliders over the scores of the last ten minutes, zones and masks upon the picture.
import { Panel } from "./live.js";
import { ask, drawing, element, problems, send } from "./messages.js";
import { PolygonEditor } from "./polygons.js";
import { ScorePlot } from "./scores.js";
import { ScoreStore } from "./scorestore.js";

const byId = (id) => document.getElementById(id);
const POLL = 1000; // ms

export class TuneView {
  // `watch` is called when another camera is to be shown.
  constructor(watch) {
    this.watch = watch;
    this.settings = null;
    this.edits = {}; // changes that are not in force yet, as config-set takes them, by camera
    this.stores = new Map(); // scores, by camera
    this.plots = [];
    this.timer = 0;
    byId("tune-camera").addEventListener("change", () => this.choose(byId("tune-camera").value));
    byId("tune-apply").addEventListener("click", () => this.change(false));
    byId("tune-save").addEventListener("click", () => this.change(true));
    byId("tune-discard").addEventListener("click", () => this.load());
    byId("new-zone").addEventListener("submit", (event) => {
      event.preventDefault();
      this.editor.begin("zone", byId("zone-name").value.trim());
    });
    byId("new-mask").addEventListener("click", () => this.editor.begin("mask", ""));
    byId("shape-done").addEventListener("click", () => this.editor.finish());
  }

  cameras() { return this.camera ? [this.camera] : []; }

  async open() {
    clearInterval(this.timer);
    this.timer = setInterval(() => this.poll(), POLL);
    if (this.settings === null) await this.load();
    else await this.poll();
  }

  close() { clearInterval(this.timer); }

  takeFrame(frame) {
    if (frame.about.camera === this.camera) this.panel?.showFrame(frame);
  }

  async load() {
    const settings = await ask("/api/tune");
    if (problems(settings).length) return this.tell(problems(settings));
    this.settings = settings;
    this.edits = {};
    const names = Object.keys(settings.cameras);
    byId("tune-camera").replaceChildren(...names.map((name) => new Option(name, name)));
    this.choose(names.includes(this.camera) ? this.camera : names[0]);
    byId("tune-parts").hidden = false;
    this.tell([], settings.unsaved ? "Changes are in force that are not saved: a restart ends them." : "");
  }

  choose(camera) {
    if (camera !== this.camera) {
      this.panel?.remove();
      this.panel = new Panel(byId("tune-picture"), camera);
      const svg = drawing("svg", { class: "shapes", tabindex: 0, role: "application", "aria-label": `Zones and masks of ${camera}` });
      this.panel.picture.append(svg);
      this.panel.onsize = (width, height) => this.editor.fit(width, height);
      this.editor = new PolygonEditor(svg, byId("shapes"), {
        changed: (shape) => this.keepShape(shape),
        tell: (sentence) => { byId("shape-words").textContent = sentence; },
      });
    }
    this.camera = camera;
    byId("tune-camera").value = camera;
    const table = this.settings.cameras[camera];
    this.editor.load(this.edited(table));
    this.plots = this.settings.labels.map((label) => new ScorePlot(label, table.actions[label], {
      ratio: this.settings.keep_ratio,
      edits: this.edits[camera]?.actions?.[label],
      changed: (edits) => this.keepThresholds(label, edits),
    }));
    byId("tune-actions").replaceChildren(...this.plots.map((plot) => plot.card));
    this.showButtons();
    this.watch();
    this.poll();
  }

  // The camera's polygons with what was drawn and is not in force yet.
  edited({ zones, mask }) {
    const { zones: drawn = {}, mask: masks = mask } = this.edits[this.camera] ?? {};
    const all = { ...zones };
    for (const [name, zone] of Object.entries(drawn)) {
      if (zone === null) delete all[name];
      else all[name] = Array.isArray(zone) ? { points: zone, min_duration: 0 } : zone;
    }
    return { zones: all, mask: masks };
  }

  keepThresholds(label, edits) {
    const mine = this.edits[this.camera] ??= {};
    (mine.actions ??= {})[label] = edits;
    this.showButtons();
  }

  keepShape({ kind, name, points, stay }) {
    const mine = this.edits[this.camera] ??= {};
    const known = name in this.settings.cameras[this.camera].zones;
    if (kind === "mask") mine.mask = this.editor.masks();
    else if (points === null && !known) delete mine.zones?.[name]; // was drawn just now
    else (mine.zones ??= {})[name] = points && stay ? { points, min_duration: stay } : points;
    this.showButtons();
  }

  async change(save) {
    this.editor.finish();
    const answer = await send("/api/tune", { changes: Object.keys(this.edits).length ? { cameras: this.edits } : {}, save });
    const found = problems(answer);
    if (found.length) return this.tell(found);
    await this.load();
    this.tell([], save ? "Saved in config.toml, and in force." : "In force now. Not saved: a restart or reload ends it.");
  }

  tell(found, sentence = "") {
    byId("tune-problems").replaceChildren(...found.map((one) => element("li", one)));
    byId("tune-words").textContent = sentence;
  }

  showButtons() {
    const edited = Object.keys(this.edits).length > 0;
    const { allowed, unsaved } = this.settings;
    byId("tune-apply").disabled = !allowed || !edited;
    byId("tune-save").disabled = !allowed || !(edited || unsaved);
    byId("tune-discard").disabled = !edited;
    if (!allowed) this.tell(["[web] allow_changes is false: nothing can be changed here."]);
  }

  async poll() {
    const { camera } = this;
    if (!camera || document.hidden) return;
    const store = this.stores.get(camera) ?? new ScoreStore(this.settings.labels.length);
    this.stores.set(camera, store);
    const revision = await store.bring(camera);
    if (camera !== this.camera || revision === null) return;
    if (revision !== this.settings.revision) {
      if (Object.keys(this.edits).length) this.tell(["The configuration was changed elsewhere: Discard shows it."]);
      else await this.load();
      return;
    }
    this.plots.forEach((plot, i) => plot.show(store.of(i), store.step));
  }
}
