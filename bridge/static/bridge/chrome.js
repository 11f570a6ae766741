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
  document.addEventListener("DOMContentLoaded", () => quiet(document));
  document.addEventListener("htmx:afterSwap", (event) => quiet(event.target.parentElement || document));
})();
