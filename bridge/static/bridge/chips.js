/* Texts in words and chips. The form's own box holds the text as it is stored; this shows it, and writes it back. */
(() => {
  const boxOf = (write) => document.getElementById(write.dataset.write);
  const frame = (element) => element.closest("[data-text]");

  // A chip's code: with words around it, or something to say instead, it is a condition (see followups/text_chips.py).
  const codeOf = ({ name, before = "", after = "", otherwise = "" }) => {
    const value = `{{ ${name} }}`;
    if (!before && !after && !otherwise) return value;
    return `{% if ${name} %}${before}${value}${after}${otherwise ? `{% else %}${otherwise}` : ""}{% endif %}`;
  };
  const dress = (chip) => {
    const { before, after, label, otherwise } = chip.dataset;
    chip.dataset.code = codeOf(chip.dataset);
    const name = document.createElement("b");
    name.textContent = otherwise ? `${label} / ${otherwise}` : label;
    chip.replaceChildren(before || "", name, after || "");
  };
  const chipOf = (data) => {
    const chip = document.createElement("span");
    chip.className = "ru-chip";
    chip.contentEditable = "false";
    Object.assign(chip.dataset, { before: "", after: "", otherwise: "" }, data);
    dress(chip);
    return chip;
  };

  const textOf = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return node.nodeValue.replaceAll("\u00a0", " ");
    if (node.dataset?.code) return node.dataset.code;
    if (node.nodeName === "BR") return "\n";
    const inside = [...node.childNodes].map(textOf).join("");
    // What a browser makes of a new line.
    return ["DIV", "P"].includes(node.nodeName) && node.previousSibling ? `\n${inside}` : inside;
  };
  const keep = (write) => {
    const text = [...write.childNodes].map(textOf).join("");
    boxOf(write).value = text.replace(/\n+$/, "");
  };
  const tell = (write) => { keep(write); boxOf(write).dispatchEvent(new Event("input", { bubbles: true })); };

  // Where one writes: remembered, for a click on a button takes the focus away.
  let caret = null, current = null;
  const place = (range) => { const chosen = getSelection(); chosen.removeAllRanges(); chosen.addRange(range); };
  const chipBefore = (range) => {
    let { startContainer: node, startOffset: at } = range;
    if (node.nodeType === Node.TEXT_NODE) { if (at) return null; node = node.previousSibling; } else node = node.childNodes[at - 1];
    while (node && node.nodeType === Node.TEXT_NODE && !node.nodeValue) node = node.previousSibling;
    return node?.dataset?.name ? node : null;
  };
  const choose = (chip, write) => {
    document.querySelectorAll(".ru-chip.now").forEach((one) => one.classList.remove("now"));
    document.querySelectorAll("[data-otherwise-of]").forEach((one) => { one.hidden = true; });
    current = chip;
    const panel = chip && frame(write).querySelector("[data-otherwise-of]");
    if (!panel) return;
    chip.classList.add("now");
    panel.hidden = false;
    panel.querySelector("input").value = chip.dataset.otherwise || "";
  };
  document.addEventListener("selectionchange", () => {
    const chosen = getSelection();
    const write = chosen.anchorNode && (chosen.anchorNode.closest?.("[data-write]") || chosen.anchorNode.parentElement?.closest("[data-write]"));
    if (!write || !chosen.rangeCount) return;
    caret = chosen.getRangeAt(0).cloneRange();
    choose(chipBefore(caret), write);
  });

  const insert = (button) => {
    const write = frame(button).querySelector("[data-write]");
    let range = caret && write.contains(caret.startContainer) ? caret.cloneRange() : null;
    if (!range) { range = document.createRange(); range.selectNodeContents(write); range.collapse(false); }
    range.deleteContents();
    // The comma and the blank before a name go with it: without the name nobody reads “Oi , …”.
    let before = "";
    const node = range.startContainer.nodeType === Node.TEXT_NODE ? range.startContainer : range.startContainer.childNodes[range.startOffset - 1];
    if (node?.nodeType === Node.TEXT_NODE) {
      const at = node === range.startContainer ? range.startOffset : node.nodeValue.length;
      before = node.nodeValue.slice(0, at).match(/,?[ \u00a0]*$/)[0];
      node.deleteData(at - before.length, before.length);
      range.setStart(node, at - before.length);
      range.collapse(true);
    }
    const chip = chipOf({ name: button.dataset.name, label: button.dataset.label, before: before.replaceAll("\u00a0", " ") });
    range.insertNode(chip);
    range.setStartAfter(chip);
    range.collapse(true);
    write.focus();
    place(range);
    caret = range.cloneRange();
    tell(write);
    choose(chip, write);
  };

  // The server knows how code reads; asked again where somebody has typed some.
  const reread = async (write) => {
    const said = new FormData();
    said.set("text", boxOf(write).value);
    said.set("csrfmiddlewaretoken", boxOf(write).form.elements.csrfmiddlewaretoken.value);
    const answer = await fetch(write.dataset.parts, { method: "POST", body: said });
    if (answer.ok) { write.innerHTML = await answer.text(); caret = null; }
  };
  const showCode = (button) => {
    const write = frame(button).querySelector("[data-write]"), box = boxOf(write);
    const is_code = write.hidden;
    button.setAttribute("aria-pressed", !is_code);
    write.hidden = !is_code;
    box.hidden = is_code;
    frame(button).querySelector("[data-offer]").hidden = !is_code;
    choose(null, write);
    if (is_code) reread(write); else box.focus();
  };

  const dressText = (root) => root.querySelectorAll("[data-write]").forEach((write) => {
    const box = boxOf(write);
    if (!box || !write.hidden || box.hidden) return;
    write.hidden = false;
    box.hidden = true;
    // Older browsers do not know it, and take a word as good as another: see `beforeinput`.
    if (write.isContentEditable) try { write.contentEditable = "plaintext-only"; } catch { write.contentEditable = "true"; }
    box.setAttribute("aria-label", `${box.getAttribute("aria-label") || ""} (code)`);
    frame(write).querySelectorAll("[data-offer], [data-do=code]").forEach((one) => { one.hidden = false; });
  });
  dressText(document);
  document.addEventListener("rules:added", (event) => dressText(event.target));

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button?.dataset.do === "chip") insert(button);
    if (button?.dataset.do === "code") showCode(button);
    if (button?.dataset.do === "unchip" && current) {
      const write = current.closest("[data-write]");
      // With the words that came in with it.
      current.remove();
      choose(null, write);
      tell(write);
      write.focus();
    }
    const chip = event.target.closest("[data-write] .ru-chip[data-name]");
    if (!chip) return;
    // Behind it, as after it was put there: what is chosen is what stands before the caret.
    const range = document.createRange();
    range.setStartAfter(chip);
    range.collapse(true);
    place(range);
    choose(chip, chip.closest("[data-write]"));
  });
  document.addEventListener("input", (event) => {
    const write = event.target.closest?.("[data-write]");
    if (write) keep(write);
    const panel = event.target.closest?.("[data-otherwise-of]");
    if (panel && current) {
      current.dataset.otherwise = event.target.value;
      dress(current);
      tell(current.closest("[data-write]"));
    }
  }, true);
  document.addEventListener("focusout", (event) => {
    const write = event.target.closest?.("[data-write]");
    const typed = write && [...write.childNodes].some((node) => !node.dataset?.code && /\{\{|\{%/.test(textOf(node)));
    if (typed) reread(write);
  });
  // Plain text and plain lines: nothing of what is pasted may bring its looks along.
  document.addEventListener("beforeinput", (event) => {
    const write = event.target.closest?.("[data-write]");
    if (!write || write.contentEditable !== "true") return;
    if (event.inputType.startsWith("format")) event.preventDefault();
    if (event.inputType === "insertParagraph") { event.preventDefault(); document.execCommand("insertLineBreak"); }
  });
  ["paste", "drop"].forEach((kind) => document.addEventListener(kind, (event) => {
    if (!event.target.closest?.("[data-write]")) return;
    event.preventDefault();
    document.execCommand("insertText", false, (event.clipboardData || event.dataTransfer).getData("text/plain"));
  }));
})();
