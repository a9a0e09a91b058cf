// Keeps the page as it is on the server: replaces the parts that it is told have changed, counts
// durations on by itself, and says when nobody tells it anything any more.
"use strict";
(() => {
  const AGAIN = 2000; // milliseconds until it asks again, where nobody has answered
  const link = document.getElementById("link");
  const spoken = document.getElementById("spoken");
  const find = (selector, within = document) => [...within.querySelectorAll(selector)];

  // --- durations: as `words.age` on the server writes them --------------------------------------

  const since = new WeakMap(); // the moment from which, or to which, an element counts

  function age(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min`;
    if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
    return `${Math.floor(whole / 86400)} d`;
  }

  function note(within) {
    const now = performance.now() / 1000;
    for (const element of find("[data-age], [data-left]", within)) {
      const { age, left } = element.dataset;
      since.set(element, age === undefined ? now + Number(left) : now - Number(age));
    }
  }

  // Nobody is heard any more: everything stays as it was last seen.
  const isStill = () => ["lost", "over"].includes(document.body.dataset.link);

  function count() {
    if (isStill()) return;
    const now = performance.now() / 1000;
    for (const element of find("[data-age], [data-left]")) {
      const seconds = Math.abs(now - since.get(element));
      const left = "left" in element.dataset && now > since.get(element) ? 0 : seconds;
      if (element.localName === "progress") element.value = left;
      else if (element.textContent !== age(left)) element.textContent = age(left);
    }
  }

  // --- what is new ------------------------------------------------------------------------------

  function show({ parts, title, icon, spoken: said }) {
    for (const [name, markup] of Object.entries(parts)) {
      for (const element of find(`[data-part="${name}"]`)) {
        element.innerHTML = markup;
        note(element);
      }
    }
    document.title = title;
    document.querySelector("link[rel=icon]").href = icon;
    if (spoken.textContent !== said) spoken.textContent = said;
  }

  function say(state, text) {
    document.body.dataset.link = state;
    if (link.textContent !== text) link.textContent = text;
  }

  let source = null;
  let again = 0;

  function follow() {
    let isOver = false;
    source = new EventSource(document.body.dataset.events);
    source.addEventListener("view", ({ data }) => {
      if (JSON.parse(data) === document.body.dataset.digest) return;
      // Another system, or another version of it, answers at the same address.
      source.close();
      setTimeout(() => location.reload(), Math.max(0, AGAIN - performance.now()));
    });
    source.addEventListener("parts", ({ data }) => {
      show(JSON.parse(data));
      say("live", "live");
    });
    source.addEventListener("end", ({ data }) => {
      isOver = true;
      say("over", JSON.parse(data));
    });
    source.addEventListener("error", () => {
      source.close();
      if (!isOver && !isStill()) {
        const lost = `connection lost since ${new Date().toLocaleTimeString()}; trying again`;
        say("lost", lost);
        spoken.textContent = lost;
      }
      again = setTimeout(follow, AGAIN);
    });
  }

  // A page that was left may be kept, to come back to: meanwhile it must not keep the server busy.
  addEventListener("pagehide", () => {
    clearTimeout(again);
    source.close();
  });
  addEventListener("pageshow", ({ persisted }) => persisted && follow());

  // --- the lines of the component that is pointed at --------------------------------------------

  function point({ target, currentTarget: picture }) {
    const number = target.closest("[data-component]")?.dataset.component;
    picture.classList.toggle("pointed", number !== undefined);
    for (const edge of find(".edge", picture)) {
      edge.classList.toggle("near", [edge.dataset.from, edge.dataset.to].includes(number));
    }
  }

  for (const picture of find("svg.graph")) {
    picture.addEventListener("pointerover", point);
    picture.addEventListener("pointerleave", () => picture.classList.remove("pointed"));
  }

  note(document);
  setInterval(count, 1000);
  follow();
})();
