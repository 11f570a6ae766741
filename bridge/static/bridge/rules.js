/* The rules pages: lists that are put in order, added to and taken from; what would change, asked while one edits. */
(() => {
  const rowsOf = (list) => [...list.querySelectorAll(":scope > [data-row]")];
  const renumber = (list) => rowsOf(list).forEach((row, place) => {
    const order = row.querySelector("[name$='-ORDER']");
    if (order) order.value = place + 1;
  });
  // As typing does: what would change is asked at each input, and not a second time when the field is left.
  const changed = (element) => element.dispatchEvent(new Event("input", { bubbles: true }));

  // Where a row has come to, for those who do not see it.
  const tell = (row) => {
    const rows = rowsOf(row.parentElement);
    const name = row.querySelector("input[type=text], textarea")?.value || row.getAttribute("aria-label") || "";
    const said = row.parentElement.dataset.said || "";
    const place = document.querySelector(`[data-told="${row.parentElement.id}"]`);
    if (place) place.textContent = said.replace("{name}", name).replace("{place}", rows.indexOf(row) + 1).replace("{count}", rows.length);
  };
  const placed = (row, focus) => {
    renumber(row.parentElement);
    row.classList.add("moved");
    focus?.focus();
    row.scrollIntoView({ block: "nearest" });
    tell(row);
    changed(row);
  };
  const step = (row, by, focus) => {
    const beside = by < 0 ? row.previousElementSibling : row.nextElementSibling;
    if (!beside) return;
    if (by < 0) beside.before(row); else beside.after(row);
    placed(row, focus);
  };

  // Dragging: the row follows the pointer, a line shows where it would go, and Escape puts it back.
  document.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest("[data-grip]");
    if (!grip || event.button) return;
    event.preventDefault();
    grip.focus();
    const row = grip.closest("[data-row]"), list = row.parentElement, begun = event.clientY + window.scrollY;
    let before = row.nextElementSibling, has_moved = false;
    const mark = () => rowsOf(list).forEach((one) => {
      one.classList.toggle("drop-before", has_moved && one === before);
      one.classList.toggle("drop-after", has_moved && !before && one === list.lastElementChild && one !== row);
    });
    const follow = (event) => {
      const y = event.clientY;
      if (y < 70) window.scrollBy(0, -14);
      if (y > window.innerHeight - 110) window.scrollBy(0, 14);
      has_moved ||= Math.abs(y + window.scrollY - begun) > 4;
      row.classList.toggle("held", has_moved);
      row.style.transform = has_moved ? `translateY(${y + window.scrollY - begun}px)` : "";
      before = rowsOf(list).filter((one) => one !== row).find((one) => { const box = one.getBoundingClientRect(); return y < box.top + box.height / 2; }) || null;
      mark();
    };
    const end = (event) => {
      grip.removeEventListener("pointermove", follow);
      ["pointerup", "pointercancel"].forEach((name) => grip.removeEventListener(name, end));
      document.removeEventListener("keydown", escape, true);
      row.classList.remove("held");
      row.style.transform = "";
      const is_elsewhere = has_moved && event.type === "pointerup" && before !== row.nextElementSibling;
      has_moved = false;
      mark();
      if (is_elsewhere) { list.insertBefore(row, before); placed(row, grip); }
    };
    const escape = (event) => { if (event.key === "Escape") { event.stopPropagation(); end(event); } };
    grip.setPointerCapture(event.pointerId);
    grip.addEventListener("pointermove", follow);
    ["pointerup", "pointercancel"].forEach((name) => grip.addEventListener(name, end));
    document.addEventListener("keydown", escape, true);
  });
  document.addEventListener("keydown", (event) => {
    const grip = event.target.closest?.("[data-grip]");
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!grip || !by) return;
    event.preventDefault();
    step(grip.closest("[data-row]"), by, grip);
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (!button) return;
    const row = button.closest("[data-row]");
    const act = button.dataset.do;
    if (act === "up" || act === "down") step(row, act === "up" ? -1 : 1, button);
    if (act === "remove") {
      const box = row.querySelector("[name$='-DELETE']");
      box.checked = !box.checked;
      row.toggleAttribute("data-gone", box.checked);
      button.setAttribute("aria-pressed", box.checked);
      changed(row);
    }
    if (act === "choose") {
      const box = document.getElementById(button.dataset.choose);
      box.value = button.dataset.value;
      box.dispatchEvent(new Event("change", { bubbles: true }));
      changed(box);
    }
    if (act === "take") {
      const name = row.querySelector("[name$='-name']");
      name.value = button.dataset.name;
      button.closest("[data-news]").hidden = true;
      changed(name);
    }
    if (act === "add") {
      const list = document.getElementById(button.dataset.list);
      const total = document.getElementById(`id_${button.dataset.prefix}-TOTAL_FORMS`);
      const source = document.getElementById(`${button.dataset.list}-empty`).innerHTML;
      const holder = document.createElement("div");
      holder.innerHTML = source.replaceAll("__prefix__", total.value);
      const added = holder.firstElementChild;
      // A new stage is one on the way: it comes before those where leads end.
      list.insertBefore(added, list.querySelector(":scope > [data-closed]"));
      total.value = Number(total.value) + 1;
      renumber(list);
      htmx.process(added);
      added.dispatchEvent(new Event("rules:added", { bubbles: true }));
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

  // A stage that Kommo calls otherwise can be renamed there. Capitals, accents and signs make no other name.
  const plain = (name) => name.normalize("NFKD").replace(/\p{M}/gu, "").replaceAll("_", " ").toLowerCase().split(/\s+/).filter(Boolean).join(" ");
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[name$='-name']")) return;
    const label = event.target.closest("[data-row]")?.querySelector("[data-rename]");
    if (label) label.hidden = plain(label.dataset.rename) === plain(event.target.value);
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

  // What is wrong is read first; each line of it leads to its box, out from behind whatever hides that.
  document.querySelector("[data-mistakes]")?.focus();
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-mistakes] a");
    const box = link && document.getElementById(link.hash.slice(1));
    if (!box) return;
    event.preventDefault();
    for (let inside = box; inside; inside = inside.parentElement) if (inside.nodeName === "DETAILS") inside.open = true;
    const shown = box.hidden ? document.querySelector(`[data-write="${box.id}"]`) || box : box;
    shown.scrollIntoView({ block: "center" });
    shown.focus({ preventScroll: true });
  });

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
