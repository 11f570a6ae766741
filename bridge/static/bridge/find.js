// The key t opens the box that finds anything, as ⌘K and Ctrl+K do, wherever nobody is writing.
"use strict";
document.addEventListener("keydown", (event) => {
  const isWriting = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "t" || event.metaKey || event.ctrlKey || event.altKey || isWriting) return;
  event.preventDefault();
  window.dispatchEvent(new CustomEvent("opencommand"));
});
