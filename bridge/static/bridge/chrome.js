// Icons are drawn by the name of their picture, which nobody wants to hear. Where a link or a button has nothing but the
// picture, its tooltip is its name.
(() => {
  const quiet = (root) => {
    for (const icon of root.querySelectorAll(".material-symbols-outlined:not([aria-hidden])")) {
      const control = icon.closest("a, button, summary, label");
      if (!control) { icon.setAttribute("aria-hidden", "true"); continue; }
      const said = control.textContent.replace(icon.textContent, "").trim() || control.getAttribute("aria-label");
      const title = control.title || icon.title;
      if (!said && title) control.setAttribute("aria-label", title);
      if (said || title) icon.setAttribute("aria-hidden", "true");
    }
  };
  // What scrolls by itself is a place of its own to whoever does not see it, so it has a name: before it begins to be
  // one. A heading above nothing but buttons heads nothing.
  const name = () => {
    const words = document.getElementById("page")?.dataset;
    if (!words) return;
    document.getElementById("nav-sidebar-inner")?.setAttribute("aria-label", words.menu);
    [...document.querySelectorAll("[data-simplebar]")].forEach((part, place) => {
      const what = part.closest("nav") ? words.menu : part.querySelector("#result_list") ? words.list : `${words.part} ${place}`;
      part.setAttribute("data-simplebar-aria-label", what);
    });
    for (const head of document.querySelectorAll("th:not([role])")) if (!head.textContent.trim()) head.setAttribute("role", "cell");
  };
  document.addEventListener("DOMContentLoaded", () => { quiet(document); name(); });
  // Django's two boxes, which it makes once everything is there: their question mark is a picture with a name.
  window.addEventListener("load", () => setTimeout(() => {
    for (const mark of document.querySelectorAll(".help-tooltip[aria-label]:not([role])")) mark.setAttribute("role", "img");
  }));
  document.addEventListener("htmx:afterSwap", (event) => quiet(event.target.parentElement || document));
})();
