// What the page and the device say to each other: packed messages, questions, changes.
let token = "";

export function useToken(given) { token = given; }

// A header in JSON and a body of bytes, as edge/web/messages.py packs them.
export function unpack(data) {
  const length = new DataView(data).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 8, length)));
  return { header, body: new Uint8Array(data, 8 + length) };
}

// A picture with what is on it; `motion`: its motion map, null where none was asked for.
export function unpackFrame(data) {
  const { header, body } = unpack(data);
  const end = body.length - header.motion;
  const image = (bytes) => new Blob([bytes], { type: "image/jpeg" });
  return { about: header, picture: image(body.subarray(0, end)), motion: header.motion ? image(body.subarray(end)) : null };
}

// The answer as JSON; { problem } or { problems } where there is none to have.
export async function ask(address, options = {}) {
  const answer = await fetch(address, options).catch(() => null);
  if (answer === null) return { problem: "The device does not answer." };
  if (answer.status === 401) location.href = "/";
  if (answer.headers.get("Content-Type")?.startsWith("application/json")) return answer.json();
  return { problem: (await answer.text()).trim() };
}

export function send(address, content) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": token };
  return ask(address, { method: "POST", headers, body: JSON.stringify(content) });
}

export function problems(answer) { return answer.problems ?? (answer.problem ? [answer.problem] : []); }

export function element(kind, text, className) {
  const made = document.createElement(kind);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function drawing(kind, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
