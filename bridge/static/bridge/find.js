// The key t opens the box that finds anything, as ⌘K and Ctrl+K do, wherever nobody is writing.
"use strict";
const openFinder = () => window.dispatchEvent(new CustomEvent("opencommand"));
document.addEventListener("keydown", (event) => {
  const isWriting = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "t" || event.metaKey || event.ctrlKey || event.altKey || isWriting) return;
  event.preventDefault();
  openFinder();
});
// On a phone it stands under the thumb.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-find]")) openFinder();
});
