// Keeps parts of a page up to date: fetches each again every few seconds and puts it in place of what is shown.
// Not while nobody looks, nor while somebody is about to press something in it.
"use strict";

document.querySelectorAll("[data-live]").forEach((part) => {
  const every = 1000 * Number(part.dataset.liveEvery || 10);
  let shown = null;

  function isBusy() {
    const focused = document.activeElement;
    const inside = focused && part.contains(focused) && focused.matches("button, input, select, textarea");
    return document.hidden || inside || part.querySelector("dialog[open], form[data-sent]");
  }

  // What somebody has unfolded stays so.
  function put(html) {
    const open = [...part.querySelectorAll("details[id][open]")].map((one) => one.id);
    part.innerHTML = html;
    part.querySelectorAll("details[id]").forEach((one) => (one.open = one.open || open.includes(one.id)));
  }

  async function refresh() {
    if (isBusy()) return;
    try {
      const answer = await fetch(part.dataset.live, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      const html = await answer.text();
      const wasLost = part.classList.contains("kb-lost");
      // What has not changed stays as it is: somebody may be reading, marking or about to follow a link in it.
      if (!isBusy() && (html !== shown || wasLost)) put((shown = html));
      part.classList.remove("kb-lost");
    } catch {
      // A restart of the server, a lost network, an ended session: say so and go on trying.
      part.classList.add("kb-lost");
      const status = part.querySelector("[data-live-status]");
      if (status) status.textContent = part.dataset.liveLost;
    }
  }

  part.addEventListener("submit", (event) => {
    // Pressed twice is meant once.
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  window.setInterval(refresh, every);
  document.addEventListener("visibilitychange", refresh);
});
