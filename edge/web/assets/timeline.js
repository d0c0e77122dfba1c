// When what was in front of which camera: a row for each camera and action, a bar for each event.
import { drawing } from "./messages.js";

const ROW = 26;
const LABEL = 180; // of 1000 units across
const BAR = 4; // the least width
const WIDTH = 1000;

// `opened` is called with the id of the event whose bar is chosen.
export function showTimeline(svg, events, opened) {
  const spans = events.map((one) => [Date.parse(one.started), Date.parse(one.started) + one.duration * 1000]);
  const from = Math.min(...spans.map(([start]) => start));
  const to = Math.max(from + 1000, ...spans.map(([, end]) => end));
  const names = [...new Set(events.map(rowOf))].sort();
  const height = (names.length + 1) * ROW;
  const x = (time) => LABEL + ((time - from) / (to - from)) * (WIDTH - LABEL - BAR);
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  const rows = names.flatMap((name, i) => [
    drawing("line", { x1: LABEL, x2: WIDTH, y1: i * ROW + ROW / 2, y2: i * ROW + ROW / 2, class: "row" }),
    label(name, 0, i * ROW + 18),
  ]);
  const bars = events.map((one, i) => {
    const [start, end] = spans[i].map(x);
    const bar = drawing("rect", {
      x: start, y: names.indexOf(rowOf(one)) * ROW + 4, width: Math.max(BAR, end - start), height: ROW - 8, rx: 2,
      class: `bar ${one.verdict ?? ""}`, role: "button", tabindex: i ? -1 : 0,
      "aria-label": `${one.action} in front of ${one.camera}, ${new Date(one.started).toLocaleString()}, score ${one.score.toFixed(2)}`,
    });
    bar.addEventListener("click", () => opened(one.event_id));
    return bar;
  });
  svg.onkeydown = (event) => walk(event, bars, events, opened);
  const end = label(new Date(to).toLocaleString(), WIDTH, height - 8);
  end.setAttribute("text-anchor", "end");
  svg.replaceChildren(...rows, ...bars, label(new Date(from).toLocaleString(), LABEL, height - 8), end);
}

// One bar can be reached with Tab, the others from it with the arrow keys.
function walk(event, bars, events, opened) {
  const here = bars.indexOf(document.activeElement);
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (here < 0) return;
  if (event.key === "Enter" || event.key === " ") opened(events[here].event_id);
  else if (step && bars[here + step]) {
    bars[here].setAttribute("tabindex", -1);
    bars[here + step].setAttribute("tabindex", 0);
    bars[here + step].focus();
  } else return;
  event.preventDefault();
}

function label(text, x, y) {
  const made = drawing("text", { x, y, "font-size": 14 });
  made.textContent = text;
  return made;
}

function rowOf(event) { return `${event.camera} · ${event.action}`; }
