/* The rules pages: lists that are put in order, added to and taken from; what would change, asked while one edits. */
(() => {
  const renumber = (list) => [...list.querySelectorAll(":scope > [data-row]")].forEach((row, place) => {
    const order = row.querySelector("[name$='-ORDER']");
    if (order) order.value = place + 1;
  });
  // As typing does: what would change is asked at each input, and not a second time when the field is left.
  const changed = (element) => element.dispatchEvent(new Event("input", { bubbles: true }));

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (!button) return;
    const row = button.closest("[data-row]");
    const act = button.dataset.do;
    if (act === "up" && row.previousElementSibling) row.previousElementSibling.before(row);
    if (act === "down" && row.nextElementSibling) row.nextElementSibling.after(row);
    if (act === "up" || act === "down") { renumber(row.parentElement); button.focus(); changed(row); }
    if (act === "remove") {
      const box = row.querySelector("[name$='-DELETE']");
      box.checked = !box.checked;
      row.toggleAttribute("data-gone", box.checked);
      button.setAttribute("aria-pressed", box.checked);
      changed(row);
    }
    if (act === "add") {
      const list = document.getElementById(button.dataset.list);
      const total = document.getElementById(`id_${button.dataset.prefix}-TOTAL_FORMS`);
      const source = document.getElementById(`${button.dataset.list}-empty`).innerHTML;
      list.insertAdjacentHTML("beforeend", source.replaceAll("__prefix__", total.value));
      total.value = Number(total.value) + 1;
      renumber(list);
      const added = list.lastElementChild;
      htmx.process(added);
      // The place of a row stands before what is seen of it.
      [...added.querySelectorAll("input, select, textarea")].find((box) => box.checkVisibility())?.focus();
    }
    if (act === "add-pair") {
      const body = button.closest("[data-pairs]").querySelector("tbody");
      const copy = body.lastElementChild.cloneNode(true);
      copy.querySelectorAll("input, select").forEach((box) => { box.value = ""; });
      body.append(copy);
      copy.querySelector("input").focus();
    }
  });

  // Two boxes that say the same: a slider and its number.
  document.addEventListener("input", (event) => {
    const twin = event.target.dataset.twin && document.getElementById(event.target.dataset.twin);
    if (twin) { twin.value = event.target.value; changed(twin); }
    const back = document.querySelector(`[data-twin="${event.target.id}"]`);
    if (back) back.value = event.target.value;
  });

  // The colour of the stage in Kommo that is chosen.
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[name$='-kommo_status_id']")) return;
    const colours = JSON.parse(document.getElementById("status-colours")?.textContent || "{}");
    event.target.closest("[data-row]").querySelector(".ru-dot").style.background = colours[event.target.value] || "";
  });

  // The tab one is on, where the row of tabs is longer than the screen.
  document.querySelector(".ru-tabs [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

  // Where one goes on typing: when a browser heeds autofocus is its own affair.
  document.querySelector("[data-first]")?.focus({ preventScroll: true });

  // Leaving a page with changes nobody saved.
  let dirty = false;
  document.addEventListener("input", (event) => { if (event.target.closest("#rules-form")) dirty = true; });
  document.addEventListener("submit", () => { dirty = false; });
  window.addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });

  document.addEventListener("submit", (event) => {
    const ask = event.submitter?.dataset.ask || event.target.dataset.ask;
    if (ask && !window.confirm(ask)) event.preventDefault();
  });
})();
