// Feeds the picture: one event a half second, each a whole picture. EventSource connects again by
// itself.

import { draw } from "/draw.js";

const headline = document.getElementById("headline");
const storm = document.getElementById("storm");
const outage = document.getElementById("outage");
const load = document.getElementById("load");

const source = new EventSource("/live");
source.addEventListener("message", ({ data }) => {
  const picture = JSON.parse(data);
  draw(picture);
  switches(picture.demo);
});
source.addEventListener("error", () => {
  headline.dataset.mood = "lost";
  headline.textContent = "No connection to the server. Trying again …";
});

function switches({ is_local, storm: stormy, outage: down, load: calls }) {
  document.getElementById("switches").hidden = !is_local;
  press(storm, stormy, "End the storm", "Throttle storm");
  press(outage, down, "End the outage", "Region outage");
  const chosen = load.querySelector(`input[value="${calls}"]`);
  // While somebody moves along the choices by keyboard, the next picture may be older than that.
  if (chosen && !load.contains(document.activeElement)) chosen.checked = true;
}

function press(button, is, end, begin) {
  button.setAttribute("aria-pressed", String(is));
  button.textContent = is ? end : begin;
}

async function turn(change) {
  await fetch("/demo", {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(change),
  });
}

const toggle = (button, name) =>
  button.addEventListener("click", () =>
    turn({ [name]: button.getAttribute("aria-pressed") !== "true" }),
  );
toggle(storm, "storm");
toggle(outage, "outage");
load.addEventListener("change", ({ target }) => turn({ load: Number(target.value) }));
