// The scores of one camera's last ten minutes, brought piece by piece.
import { unpack } from "./messages.js";

const SLOTS = 1200;
const SCALE = 250;
const NO_FRAME = 255;

export class ScoreStore {
  constructor(actions) {
    this.actions = actions;
    this.rows = new Uint8Array(SLOTS * actions).fill(NO_FRAME); // the last is of the slot `now`
    this.now = null;
    this.step = 0.5; // seconds
    this.busy = false;
  }

  // Ask for what is new; returns the revision of the configuration, null where nothing came.
  async bring(camera) {
    if (this.busy) return null;
    this.busy = true;
    try {
      const asked = new URLSearchParams({ camera, after: this.now ?? 0 });
      const answer = await fetch(`/api/scores?${asked}`).catch(() => null);
      if (!answer?.ok) return null;
      const { header, body } = unpack(await answer.arrayBuffer());
      this.take(header, body);
      return header.revision;
    } finally {
      this.busy = false;
    }
  }

  take({ first, now, step }, body) {
    const again = this.now === null || now < this.now; // the device has restarted
    if (again) this.rows.fill(NO_FRAME);
    else this.rows.copyWithin(0, (now - this.now) * this.actions);
    this.now = now < first && again ? null : now;
    this.step = step;
    const gone = Math.min(SLOTS, body.length / this.actions);
    this.rows.set(body.subarray(body.length - gone * this.actions), (SLOTS - gone) * this.actions);
  }

  // The scores of an action, null where there was no frame, the newest last.
  of(action) {
    const scores = new Array(SLOTS);
    for (let slot = 0; slot < SLOTS; slot++) {
      const found = this.rows[slot * this.actions + action];
      scores[slot] = found === NO_FRAME ? null : found / SCALE;
    }
    return scores;
  }
}
