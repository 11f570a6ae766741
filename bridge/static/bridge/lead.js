// Opens and closes the dialogs that ask before something is done to a lead.
"use strict";

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("dialog").close();
  // A press on the backdrop is a press on the dialog itself.
  if (event.target instanceof HTMLDialogElement) event.target.close();
});

// A link from elsewhere may mean one of them: it opens with the page.
const meant = location.hash && document.getElementById(location.hash.slice(1));
if (meant instanceof HTMLDialogElement) meant.showModal();

document.addEventListener("submit", (event) => {
  // The parts that keep themselves up to date see to their own (live.js).
  if (event.target.closest("[data-live]")) return;
  // Pressed twice is meant once.
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
