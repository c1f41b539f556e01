"use strict";
(() => {
  const root = document.documentElement;

  const themeButton = document.querySelector("[data-theme-toggle]");
  if (themeButton) {
    themeButton.hidden = false;
    themeButton.addEventListener("click", () => {
      const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      const current = root.dataset.theme || preferred;
      root.dataset.theme = current === "dark" ? "light" : "dark";
    });
  }

  // What is folded on the screen is read on paper.
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll("details:not(figure details):not([open])")];
    for (const details of unfolded) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of unfolded) details.open = false;
  });

  // Where something is wider than its box, a line above says that it can be moved.
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) target.previousElementSibling.hidden = target.scrollWidth <= target.clientWidth + 1;
  });
  for (const box of document.querySelectorAll(".scroll, .drawing")) {
    const hint = document.createElement("p");
    hint.className = "more";
    hint.hidden = true;
    hint.textContent = "Move it sideways for more";
    box.before(hint);
    watch.observe(box);
  }

  // A missing value sorts last in either direction.
  const sortedRows = (rows, column, direction) => {
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const numeric = rows.every((row) => key(row) === "" || !Number.isNaN(Number(key(row))));
    return [...rows].sort((first, second) => {
      // A model that ignores the picture stands below the others, whatever the order.
      const apart = ("unranked" in first.dataset) - ("unranked" in second.dataset);
      if (apart) return apart;
      const a = key(first), b = key(second);
      if (a === "" || b === "") return (a === "") - (b === "");
      return direction * (numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));
    });
  };

  const sortBy = (table, head, direction) => {
    const body = table.tBodies[0];
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    body.append(...sortedRows([...body.rows], head.cellIndex, direction));
  };

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    for (const head of table.tHead.rows[0].cells) {
      const button = head.querySelector("button");
      if (!button) continue;
      button.addEventListener("click", () => {
        const sorted = head.getAttribute("aria-sort");
        const first = head.dataset.first === "descending" ? -1 : 1;
        const direction = sorted === "ascending" ? -1 : sorted === "descending" ? 1 : first;
        sortBy(table, head, direction);
      });
    }
  }

  // Numbers as the rest of the page writes them: three digits, a true minus sign, a dash for none.
  const written = (value) => {
    if (value === null) return "\u2013";
    const digits = value.toFixed(3);
    return Number(digits) === 0 ? "0.000" : digits.replace("-", "\u2212");
  };

  const showMetric = (cell, [value, low, high]) => {
    cell.dataset.value = value ?? "";
    cell.querySelector(".value").textContent = written(value);
    cell.querySelector(".interval").textContent = low === null ? "" : `${written(low)} to ${written(high)}`;
  };

  const filter = document.querySelector("[data-filter]");
  if (filter) {
    const boards = [...document.querySelectorAll("[data-leaderboard]")].map((table) => ({
      table,
      rows: [...table.tBodies[0].rows],
      views: JSON.parse(document.getElementById(table.dataset.leaderboard).textContent),
    }));
    const family = filter.querySelector("[data-filter-family]");
    const severity = filter.querySelector("[data-filter-severity]");
    const showView = ({ table, rows, views }, name) => {
      const view = views[name];
      rows.forEach((row, place) => {
        row.querySelector("[data-rank]").dataset.value = view.ranks[place] ?? "";
        row.querySelector(".place").textContent = view.ranks[place] ?? "\u2013";
        row.querySelector(".group").textContent = view.groups[place];
        row.querySelectorAll("[data-metric]").forEach((cell, metric) => showMetric(cell, view.metrics[place][metric]));
      });
      const head = table.tHead.querySelector("[aria-sort]");
      if (head) sortBy(table, head, head.getAttribute("aria-sort") === "ascending" ? 1 : -1);
    };
    const search = filter.querySelector("[data-filter-search]");
    const searched = (row) => [...row.querySelectorAll("th, td.text")].map((cell) => cell.textContent).join(" ").toLowerCase();
    const rows = boards.flatMap((board) => board.rows).map((row) => [row, searched(row)]);
    const selects = [...filter.querySelectorAll("[data-filter-by]")];
    const isChosen = (row, { value, dataset: { filterBy } }) => {
      const own = row.dataset[filterBy];
      return value === "all" || (filterBy === "size" ? own !== "" && Number(own) <= Number(value) : own === value);
    };
    const find = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const [row, text] of rows) {
        row.hidden = !(words.every((word) => text.includes(word)) && selects.every((select) => isChosen(row, select)));
      }
      const found = rows.filter(([row]) => !row.hidden).length;
      filter.querySelector("[data-filter-found]").textContent =
        found < rows.length || words.length ? `${found} of ${rows.length} models` : "";
    };
    // The choice stands in the address, so that it can be sent to someone; a part that is as it was at first is left out.
    const choices = {
      corruptions: family, severity, search, ...Object.fromEntries(selects.map((select) => [select.dataset.filterBy, select])),
    };
    const atFirst = Object.fromEntries(Object.entries(choices).map(([name]) => [name, name === "search" ? "" : "all"]));
    const writeAddress = () => {
      const chosen = new URLSearchParams();
      for (const [name, control] of Object.entries(choices)) {
        if (control.value.trim() !== atFirst[name]) chosen.set(name, control.value.trim());
      }
      const text = chosen.toString();
      if (text || location.hash.includes("=")) history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
    };
    const readAddress = () => {
      const chosen = new URLSearchParams(location.hash.slice(1));
      for (const [name, control] of Object.entries(choices)) {
        const value = chosen.get(name) ?? atFirst[name];
        if (!control.options || [...control.options].some((option) => option.value === value)) control.value = value;
      }
    };
    const showChosen = () => {
      for (const board of boards) showView(board, `${family.value}/${severity.value}`);
      filter.querySelector("[data-filter-said]").textContent =
        `Corruptions: ${family.value}, severity: ${severity.value}`;
      find();
    };
    const show = () => {
      showChosen();
      writeAddress();
    };
    filter.hidden = false;
    family.addEventListener("change", show);
    severity.addEventListener("change", show);
    search.addEventListener("input", () => { find(); writeAddress(); });
    for (const select of selects) select.addEventListener("change", () => { find(); writeAddress(); });
    addEventListener("hashchange", () => {
      if (location.hash && !location.hash.includes("=")) return;
      readAddress();
      showChosen();
    });
    if (location.hash.includes("=")) readAddress();
    // A browser may bring back the choice of an earlier visit.
    if ([family, severity, ...selects].some((select) => select.selectedIndex) || search.value) show();
  }

  // A chart that leaves the page takes with it the colours that it has on light paper, where there are no variables.
  const light = document.querySelector("style").sheet.cssRules[0].style;
  const standingAlone = (drawing) => {
    const copy = drawing.cloneNode(true);
    const box = drawing.viewBox.baseVal;
    copy.setAttribute("width", box.width);
    copy.setAttribute("height", box.height);
    const resolved = (text) => text.replace(/var\((--[\w-]+)\)/g, (_, name) => light.getPropertyValue(name).trim().replaceAll('"', "'"));
    for (const node of [copy, ...copy.querySelectorAll("*")]) {
      for (const { name, value } of [...node.attributes]) {
        if (value.includes("var(")) node.setAttribute(name, resolved(value));
      }
    }
    return new XMLSerializer().serializeToString(copy);
  };

  // A spreadsheet would compute what begins like a formula.
  const inCsv = (text) => {
    const plain = text.trim().replaceAll("\u2212", "-");
    const safe = /^[=+@]|^-(?![\d.])/.test(plain) ? `'${plain}` : plain;
    return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const asCsv = (table) => [...table.rows].map((row) => [...row.cells].map((cell) => inCsv(cell.textContent)).join(",")).join("\n") + "\n";

  // Three dots for each pixel of the page, on white.
  const asPng = (drawing) => new Promise((resolve, reject) => {
    const { width, height } = drawing.viewBox.baseVal;
    const picture = new Image();
    picture.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(3 * width);
      canvas.height = Math.round(3 * height);
      const pen = canvas.getContext("2d");
      pen.fillStyle = "#ffffff";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
      canvas.toBlob(resolve, "image/png");
    };
    picture.onerror = reject;
    picture.src = `data:image/svg+xml,${encodeURIComponent(standingAlone(drawing))}`;
  });

  const download = (name, type, content) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  for (const chart of document.querySelectorAll("figure.chart")) {
    const drawing = chart.querySelector(".drawing svg");
    const numbers = chart.querySelector("details");
    if (!drawing || !numbers) continue;
    const title = chart.querySelector("h4").textContent;
    const name = title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    const offered = document.createElement("p");
    offered.className = "downloads";
    for (const [ending, label, type, content] of [
      ["svg", "Picture as SVG", "image/svg+xml", () => standingAlone(drawing)],
      ["png", "Picture as PNG", "image/png", () => asPng(drawing)],
      ["csv", "Numbers as CSV", "text/csv", () => asCsv(numbers.querySelector("table"))],
    ]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.addEventListener("click", async () => download(`${name}.${ending}`, type, await content()));
      offered.append(button, " ");
    }
    numbers.querySelector("summary").textContent = "Numbers and downloads";
    numbers.querySelector("summary").after(offered);
  }
})();
