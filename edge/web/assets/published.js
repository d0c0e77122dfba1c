// Which events thresholds would have made: the decision of edge/events.py, made for the best score in front of a camera. Pure.
const LONGEST_GAP = 5; // seconds without a frame after which an event ends

// `scores`: one for each `step` seconds, null where there was no frame. Returns the first and the last place of each event.
export function wouldPublish(scores, step, { start, keep, minDuration, cooldown }) {
  const events = [];
  const tolerance = 1e-6;
  let open = null; // { first, lastKept, published }
  const end = () => {
    if (open?.published) events.push([open.first, open.lastKept]);
    open = null;
  };
  let frame = 0; // the place of the last one
  scores.forEach((score, place) => {
    if (score === null) return;
    if ((place - frame) * step > LONGEST_GAP) end();
    frame = place;
    if (open === null) {
      if (score < start) return;
      open = { first: place, lastKept: place, published: false };
    }
    if (score >= keep) {
      open.lastKept = place;
      open.published ||= (place - open.first) * step + tolerance >= minDuration;
    } else if (!open.published) open = null;
    else if ((place - open.lastKept) * step + tolerance >= cooldown) end();
  });
  end();
  return events;
}
