// The tube of an event over its clip or picture: the way of the person's feet, and the box at the moment that is shown.
import { drawing, element } from "./messages.js";

// `points`: of every frame, as [seconds, frame, x1, y1, x2, y2, score, observed], sides as shares of the frame;
// `start`: when the clip begins, seconds from the event's start.
export function withTube(media, points, start) {
  const place = element("div", "", "tube");
  const svg = drawing("svg", { "aria-hidden": true });
  place.append(media, svg);
  if (!points.length) return place;
  const video = media.tagName === "VIDEO";
  const draw = () => {
    const [width, height] = video ? [media.videoWidth, media.videoHeight] : [media.naturalWidth, media.naturalHeight];
    if (!width) return;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const feet = points.map(([, , x1, , x2, y2]) => `${((x1 + x2) / 2) * width},${y2 * height}`).join(" ");
    const parts = [drawing("polyline", { points: feet })];
    const at = video ? shown(points, media.currentTime + start) : null;
    if (at) parts.push(box(at, width, height));
    svg.replaceChildren(...parts);
  };
  const follow = () => {
    draw();
    media.requestVideoFrameCallback?.(follow);
  };
  if (video) media.requestVideoFrameCallback?.(follow);
  for (const event of video ? ["loadedmetadata", "seeked", "timeupdate"] : ["load"]) media.addEventListener(event, draw);
  return place;
}

// The last point up to that second; null before the first and after the last.
function shown(points, seconds) {
  if (seconds < points[0][0] || seconds > points.at(-1)[0] + 0.2) return null;
  return points.findLast((point) => point[0] <= seconds);
}

function box([, , x1, y1, x2, y2, score, observed], width, height) {
  const given = { x: x1 * width, y: y1 * height, width: (x2 - x1) * width, height: (y2 - y1) * height };
  return drawing("rect", { ...given, class: observed ? "" : "guessed", "data-score": score });
}
