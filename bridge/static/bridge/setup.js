// Copies what a page shows: data-copy names the element, data-copied says that it worked.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    button.lastElementChild.textContent = button.dataset.copied;
  } catch {
    // No clipboard here (plain http, an old browser): mark it, so that Ctrl-C takes it.
    window.getSelection().selectAllChildren(source);
  }
});
