// The page's frame: which view is shown, who is logged in, the connection to the device.
import { fillHealth } from "./health.js";
import { openEvents } from "./events.js";
import { LiveView } from "./live.js";
import { unpackFrame, useToken } from "./messages.js";
import { TuneView } from "./tune.js";

const byId = (id) => document.getElementById(id);
const VIEWS = ["live", "tune", "events", "health"];
const RETRY = [1000, 2000, 5000, 10000]; // ms
const session = await (await fetch("/api/session")).json();
const live = new LiveView(byId("cameras"));
const tune = new TuneView(() => watch());
let socket = null;
let tries = 0;

useToken(session.csrf);
byId("device").textContent = session.device;
document.title = `${session.device} · korsal-edge`;
byId("logout").hidden = !session.login;
byId("logout").addEventListener("click", async () => {
  await fetch("/logout", { method: "POST", headers: { "X-CSRF-Token": session.csrf } });
  location.href = "/login";
});

function currentView() {
  const name = location.hash.slice(1);
  return VIEWS.includes(name) ? name : "live";
}

function show() {
  const name = currentView();
  for (const view of VIEWS) {
    byId(`view-${view}`).hidden = view !== name;
    const link = document.querySelector(`nav a[href="#${view}"]`);
    if (view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (name === "tune") tune.open();
  else tune.close();
  if (name === "events") openEvents();
  if (name === "health") fillHealth(byId("health"));
  watch();
}

// Pictures are asked for only while they can be seen: what nobody watches, the device does not encode.
function watch() {
  const shown = { live, tune }[currentView()];
  const wanted = shown && !document.hidden ? shown.cameras() : [];
  const motion = shown === live && byId("motion").checked ? wanted : [];
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ watch: wanted, motion }));
}

function tellState(state) {
  const broker = state.health.broker;
  byId("broker").textContent = broker.online ? "broker connected" : "broker not connected";
  byId("broker").className = broker.online ? "good" : "bad";
  if (live.takeState(state)) watch();
  if (currentView() === "health") fillHealth(byId("health"));
}

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    tries = 0;
    byId("link").textContent = "connected";
    byId("link").className = "good";
    watch();
  };
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") tellState(JSON.parse(data).state);
    else ({ live, tune })[currentView()]?.takeFrame(unpackFrame(data));
  };
  socket.onclose = async () => {
    byId("link").textContent = "no connection to the device";
    byId("link").className = "bad";
    const wait = RETRY[Math.min(tries++, RETRY.length - 1)];
    setTimeout(async () => {
      const answer = await fetch("/api/session").catch(() => null);
      if (answer?.status === 401) location.href = "/";
      else connect();
    }, wait);
  };
}

byId("motion").addEventListener("change", watch);
document.body.classList.add("ready");
addEventListener("hashchange", () => {
  show();
  byId("content").focus({ preventScroll: true });
  scrollTo(0, 0);
});
document.addEventListener("visibilitychange", watch);
show();
connect();
