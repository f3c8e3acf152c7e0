for (const table of document.querySelectorAll("table[data-sort]")) {
  const body = table.tBodies[0];
  const heads = table.querySelectorAll("thead tr:last-child th");
  if (!body || body.rows.length < 3) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(head.firstChild);
    head.prepend(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows];
      const of = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const numbers = rows.every((row) => row.cells[column].matches("[data-value], .none"));
      const missing = (value) => Number.isNaN(Number(value));
      rows.sort((a, b) => {
        const [x, y] = [of(a), of(b)];
        if (!numbers) return down ? x.localeCompare(y) : y.localeCompare(x);
        if (missing(x) || missing(y)) return missing(x) - missing(y);
        return down ? y - x : x - y;
      });
      body.append(...rows);
    });
  });
}
