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

  // A missing value sorts last in either direction.
  const sortedRows = (rows, column, direction) => {
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const numeric = rows.every((row) => key(row) === "" || !Number.isNaN(Number(key(row))));
    return [...rows].sort((first, second) => {
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

  for (const picker of document.querySelectorAll("select[data-shows]")) {
    const panels = [...document.querySelectorAll(picker.dataset.shows)];
    const show = () => panels.forEach((panel, place) => { panel.hidden = place !== picker.selectedIndex; });
    picker.closest(".picker").hidden = false;
    picker.addEventListener("change", show);
    show();
  }
})();
