"use strict";
// Without this script the page is whole: it adds sorting, copying and details on hover.
(() => {
  const said = document.getElementById("said");

  // Details. In its cell an open one would push its own number out of a narrow frame: it opens in
  // a row as wide as the frame, below the row of the number.
  document.documentElement.classList.add("scripted");
  const opened = new Map();
  const tell = (row) => {
    const open = [...row.querySelectorAll("details.more[open]")];
    if (!open.length) {
      if (opened.has(row)) opened.get(row).remove();
      opened.delete(row);
      return;
    }
    if (!opened.has(row)) {
      const below = document.createElement("tr");
      below.className = "opened";
      const cell = below.insertCell();
      cell.colSpan = row.cells.length;
      cell.append(document.createElement("div"));
      opened.set(row, below);
      row.after(below);
    }
    const heads = row.closest("table").tHead.rows[0].cells;
    const lines = open.map((details) => {
      const line = document.createElement("p");
      const head = document.createElement("b");
      head.textContent = heads[details.closest("th, td").cellIndex].querySelector("bdi").textContent;
      const text = document.createElement("bdi");
      text.textContent = details.querySelector(".detail").textContent;
      line.append(head, " ", text);
      return line;
    });
    opened.get(row).cells[0].firstChild.replaceChildren(...lines);
  };
  document.addEventListener("toggle", (event) => {
    const row = event.target.matches("details.more") && event.target.closest("tr");
    if (!row) return;
    tell(row);
    if (event.target.open) said.textContent = event.target.querySelector(".detail").textContent;
  }, true);

  // Sorting. Rows of controls travel with the condition above them.
  const groupsOf = (body) => {
    const groups = [];
    for (const row of body.rows) {
      if (row.classList.contains("under") && groups.length) groups.at(-1).push(row);
      else groups.push([row]);
    }
    return groups;
  };
  const words = new Intl.Collator("en", { numeric: true });
  const compare = (a, b, sign) => {
    const numbers = [a, b].map((cell) => (cell && cell.dataset.value !== undefined ? Number(cell.dataset.value) : null));
    if (numbers[0] !== null && numbers[1] !== null) return sign * (numbers[0] < numbers[1] ? -1 : numbers[0] > numbers[1] ? 1 : 0);
    const texts = [a, b].map((cell) => (cell ? (cell.querySelector("summary") || cell).textContent.trim() : ""));
    // What has no number, and then what is empty, stays at the end in both directions.
    if (numbers[0] !== null || numbers[1] !== null) return numbers[0] !== null ? -1 : 1;
    if (!texts[0] || !texts[1]) return (texts[0] ? 0 : 1) - (texts[1] ? 0 : 1);
    return sign * words.compare(texts[0], texts[1]);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const original = groupsOf(body);
    if (original.length < 2) continue;
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const order = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", order);
        const sign = order === "descending" ? -1 : 1;
        const groups = order === "none" ? original : [...original].sort((a, b) => compare(a[0].cells[column], b[0].cells[column], sign));
        body.append(...groups.flat().flatMap((row) => (opened.has(row) ? [row, opened.get(row)] : [row])));
        said.textContent = order === "none" ? "original order" : `sorted by ${head.textContent.trim()}, ${order}`;
      });
    });
  }

  // Details on hover; click, tap and Enter open the same text below the row.
  const tip = document.getElementById("tip");
  const hide = () => { tip.hidden = true; };
  const show = (summary) => {
    const details = summary.parentElement;
    if (details.open) return;
    tip.textContent = details.querySelector(".detail").textContent;
    tip.hidden = false;
    const box = summary.getBoundingClientRect();
    const left = Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8));
    const below = box.bottom + 6;
    const top = below + tip.offsetHeight < innerHeight ? below : Math.max(8, box.top - tip.offsetHeight - 6);
    tip.style.left = `${left}px`;
    tip.style.top = `${top}px`;
  };
  document.addEventListener("pointerover", (event) => {
    const summary = event.pointerType === "mouse" && event.target.closest("details.more > summary");
    if (summary) show(summary);
    else hide();
  });
  document.addEventListener("click", hide);
  document.addEventListener("scroll", hide, true);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // Filters.
  const filters = document.getElementById("filters");
  let filter = () => {};
  const control = (name, input) => {
    const label = document.createElement("label");
    label.append(...(input.type === "checkbox" ? [input, name] : [name, input]));
    filters.append(label);
    input.addEventListener("change", () => filter());
    return input;
  };
  const select = (name, values) => {
    const input = document.createElement("select");
    for (const value of ["", ...new Set(values)]) {
      if (value || !input.length) input.add(new Option(value || "all", value));
    }
    input.id = `filter-${name}`;
    return control(name, input);
  };
  const counter = (label) => {
    filters.setAttribute("role", "group");
    filters.setAttribute("aria-label", label);
    return filters.appendChild(document.createElement("output"));
  };

  // Rows of a table, by everything that they say of themselves.
  const rows = [...document.querySelectorAll("tr[data-model]")];
  if (filters && rows.length) {
    const chosen = Object.keys(rows[0].dataset).map((name) => [name, select(name, rows.map((row) => row.dataset[name]))]);
    const count = counter("Filter numbers");
    filter = () => {
      for (const row of rows) {
        row.hidden = chosen.some(([name, input]) => input.value && row.dataset[name] !== input.value);
        if (opened.has(row)) opened.get(row).hidden = row.hidden;
      }
      count.textContent = `numbers: ${rows.filter((row) => !row.hidden).length}`;
    };
    filter();
  }

  // Answers: a document without one that is asked for is not shown, nor a task without a document;
  // what matches is opened, unless it is much.
  const tasks = [...document.querySelectorAll("details.task")];
  if (filters && tasks.length) {
    const MANY = 40;
    const answers = [...document.querySelectorAll(".answers > li")];
    const language = select("language", tasks.map((task) => task.dataset.language));
    const task = select("task", tasks.map((one) => one.dataset.task));
    const condition = select("condition", answers.map((one) => one.dataset.condition));
    const changed = document.createElement("input");
    changed.type = "checkbox";
    changed.id = "filter-changed";
    control("only where the language changed", changed);
    const count = counter("Filter answers");
    const matches = (one) => (!condition.value || one.dataset.condition === condition.value) && (!changed.checked || "changed" in one.dataset);
    filter = () => {
      const asked = Boolean(language.value || task.value || condition.value || changed.checked);
      const shown = [];
      let number = 0;
      for (const one of tasks) {
        const meant = (!language.value || one.dataset.language === language.value) && (!task.value || one.dataset.task === task.value);
        let any = false;
        for (const entry of one.querySelectorAll("details.document")) {
          let found = 0;
          for (const answer of entry.querySelectorAll(".answers > li")) {
            answer.hidden = !matches(answer);
            found += !answer.hidden;
          }
          entry.hidden = asked && !(meant && found);
          if (entry.hidden) continue;
          any = true;
          number += found;
          shown.push(entry);
        }
        one.hidden = asked && !any;
        if (asked && any) one.open = true;
      }
      for (const entry of shown) if (asked) entry.open = shown.length <= MANY;
      for (const matrix of document.querySelectorAll("details.matrix")) {
        matrix.hidden = Boolean(condition.value) && matrix.dataset.condition !== condition.value;
      }
      count.textContent = `documents: ${shown.length}, answers: ${number}`;
    };
    filter();
  }

  // Copying. Where the clipboard is closed to the page, the text is selected instead.
  for (const block of document.querySelectorAll(".copyable")) {
    const source = block.querySelector("pre");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${source.getAttribute("aria-label")}`);
    block.prepend(button);
    button.addEventListener("click", async () => {
      const text = [...source.querySelectorAll("code")].map((line) => line.textContent).join("\n");
      let done = "Copied";
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        getSelection().selectAllChildren(source);
        done = "Selected";
      }
      button.textContent = done;
      said.textContent = done;
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  // Paper has no clicks: what is folded at the level of sections is printed.
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details:not(.more)")) details.open = true;
  });
})();
