// The view of events: a filtered list, the newest first, and one event with its clip, picture and scores.
import { ask, drawing, element, problems, send } from "./messages.js";
import { showTimeline } from "./timeline.js";
import { withTube } from "./tube.js";

const byId = (id) => document.getElementById(id);
const filter = byId("filter");
let before = null; // the number of the oldest event that is shown
let opened = false;
let shown = null; // the event in the dialog

export async function openEvents() {
  if (!opened) {
    opened = true;
    filter.addEventListener("submit", (event) => { event.preventDefault(); load(false); });
    byId("older").addEventListener("click", () => load(true));
    byId("event-close").addEventListener("click", () => byId("event").close());
    byId("judge-right").addEventListener("click", () => judge("right"));
    byId("judge-wrong").addEventListener("click", () => judge("wrong"));
    byId("relabel").addEventListener("submit", (event) => {
      event.preventDefault();
      judge("relabelled", byId("right-action").value.trim());
    });
    byId("event").addEventListener("close", () => byId("event-media").replaceChildren());
  }
  await fillNames();
  await load(false);
}

async function fillNames() {
  const names = await ask("/api/event-names");
  if (names.problem) return;
  for (const [field, values] of [["camera", names.cameras], ["action", names.actions]]) {
    const select = filter.elements[field];
    const chosen = select.value;
    select.replaceChildren(new Option("all", ""), ...values.map((value) => new Option(value, value)));
    select.value = values.includes(chosen) ? chosen : "";
  }
  byId("known-actions").replaceChildren(...names.actions.map((value) => new Option(value, value)));
}

function query() {
  const asked = new URLSearchParams();
  const { camera, action, hours, min_score: score } = filter.elements;
  if (camera.value) asked.set("camera", camera.value);
  if (action.value) asked.set("action", action.value);
  if (hours.value) asked.set("since", Math.floor(Date.now() / 1000 - hours.value * 3600));
  if (Number(score.value)) asked.set("min_score", score.value);
  return asked;
}

async function load(older) {
  const asked = query();
  byId("export-csv").href = `/export/events.csv?${asked}`;
  byId("export-json").href = `/export/events.json?${asked}`;
  if (older) asked.set("before", before);
  const [found, timeline] = await Promise.all([ask(`/api/events?${asked}`), older ? null : ask(`/api/timeline?${asked}`)]);
  if (timeline) fillTimeline(timeline);
  const problem = found.problem ?? (found.events.length || older ? "" : "No event fits.");
  byId("events-problem").textContent = problem;
  byId("events-problem").className = problem ? "problem" : "";
  const items = (found.events ?? []).map(item);
  if (older) byId("events").append(...items);
  else byId("events").replaceChildren(...items);
  before = found.before ?? null;
  byId("older").hidden = before === null;
}

function fillTimeline(found) {
  const events = found.events ?? [];
  byId("timeline-part").hidden = !events.length;
  byId("timeline-words").textContent = found.all ? "" : `The newest ${events.length}.`;
  if (events.length) showTimeline(byId("timeline"), events, open);
}

// Keep what somebody says of the event in the dialog.
async function judge(verdict, action = "") {
  const answer = await send(`/api/events/${shown.event_id}/judgement`, { verdict, action });
  const [problem] = problems(answer);
  if (problem) byId("judgement").textContent = problem;
  else tellJudgement(verdict, action, answer.clip ? "Its clip is among those to teach with." : `${answer.without}.`);
}

function tellJudgement(verdict, action, more = "") {
  const words = { right: "It is right.", wrong: "It is wrong.", relabelled: `It is ${action}.` }[verdict];
  byId("judgement").textContent = words ? `${words} ${more}` : "Nobody has said yet.";
  byId("judge-right").setAttribute("aria-pressed", verdict === "right");
  byId("judge-wrong").setAttribute("aria-pressed", verdict === "wrong");
}

function item(event) {
  const line = element("li");
  const button = element("button");
  button.type = "button";
  if (event.picture) {
    const picture = element("img");
    picture.loading = "lazy";
    picture.alt = "";
    picture.src = event.picture;
    button.append(picture);
  } else button.append(element("span", "no picture", "none"));
  const facts = element("span", "", "facts");
  facts.append(element("strong", `${event.action} ${event.score_best.toFixed(2)}`));
  facts.append(`${event.camera} · ${length(event)}`, document.createElement("br"), when(event));
  button.append(facts);
  button.addEventListener("click", () => open(event.event_id));
  line.append(button);
  return line;
}

// Of an event in a video file the time counts from the video's beginning.
function when(event) {
  const time = new Date(event.started);
  return event.video ? `at ${time.toISOString().slice(11, 19)} of the video` : time.toLocaleString();
}

function length(event) { return event.goes_on ? "goes on" : `${event.duration.toFixed(1)} s`; }

async function open(id) {
  const event = await ask(`/api/events/${id}`);
  if (event.problem) { byId("events-problem").textContent = event.problem; return; }
  shown = event;
  byId("right-action").value = "";
  tellJudgement(event.verdict, event.right_action);
  byId("event-title").textContent = `${event.action} in front of ${event.camera}`;
  byId("event-media").replaceChildren(media(event));
  const facts = [
    ["Began", when(event)], ["Lasted", length(event)], ["Best score", event.score_best.toFixed(2)],
    ["Zones", (event.zones ?? []).join(", ") || "none"], ["Ended because", event.reason_ended ?? "it goes on"],
    ["Event", event.event_id],
  ];
  byId("event-facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  plot(event.points);
  byId("event").showModal();
}

function media(event) {
  if (event.clip) {
    const video = element("video");
    video.controls = true;
    video.preload = "metadata";
    if (event.picture) video.poster = event.picture;
    video.src = event.clip;
    return withTube(video, event.points, event.clip_start);
  }
  if (!event.picture) return element("p", "Neither picture nor clip were kept.");
  const picture = element("img");
  picture.src = event.picture;
  picture.alt = `The frame with the best score of ${event.action}`;
  return withTube(picture, event.points, 0);
}

function plot(points) {
  const svg = byId("event-plot");
  const line = drawing("polyline");
  const end = Math.max(0.001, points.at(-1)?.[0] ?? 0);
  line.setAttribute("points", points.map((point) => `${(point[0] / end) * 100},${1 - point[6]}`).join(" "));
  svg.replaceChildren(line);
  const best = Math.max(0, ...points.map((point) => point[6]));
  svg.setAttribute("aria-label", `${points.length} scores in ${end.toFixed(1)} seconds, the best ${best.toFixed(2)}`);
}
