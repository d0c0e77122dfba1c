// The fields of a chosen zone: its name, and after which stay in it a person counts.
import { element } from "./messages.js";

const NAME = "[A-Za-z0-9_\\-]+";
const LONGEST_STAY = 3600; // seconds

// `rename` is called with another name, and says whether it may be; `stay` with other seconds.
export function zoneFields(zone, { rename, stay }) {
  const fields = element("form", "", "filter zone-fields");
  const name = field("Name", { value: zone.name, required: true, maxLength: 64, pattern: NAME, autocomplete: "off" });
  const seconds = field("Counts after, s", { type: "number", min: 0, max: LONGEST_STAY, step: 0.5, value: zone.stay });
  name.dataset.field = "name";
  seconds.dataset.field = "stay";
  fields.addEventListener("submit", (event) => event.preventDefault());
  name.addEventListener("change", () => {
    if (name.value === zone.name || !name.reportValidity()) return;
    if (!rename(name.value)) name.value = zone.name;
  });
  seconds.addEventListener("change", () => {
    if (seconds.value !== "" && seconds.reportValidity()) stay(Number(seconds.value));
  });
  fields.append(name.parentElement, seconds.parentElement);
  return fields;
}

function field(words, properties) {
  const label = element("label", words);
  const input = element("input");
  Object.assign(input, properties);
  label.append(input);
  return input;
}
