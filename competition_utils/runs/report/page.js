// Sorts and searches tables, opens the details that a link leads to, and all of them for print.
(() => {
  const plain = (text) => text.normalize("NFKC").toLowerCase();
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? plain(cell.textContent) : parseFloat(cell.dataset.value);
  };
  const before = (a, b) => {
    if (typeof a === "string") return a.localeCompare(b, undefined, { numeric: true });
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return a - b;
  };

  function sortable(table) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const sign = down ? -1 : 1;
        const rows = Array.from(table.tBodies[0].rows);
        rows.sort((a, b) => {
          const [x, y] = [value(a, column), value(b, column)];
          return x !== x || y !== y ? before(x, y) : sign * before(x, y); // what is missing stays last
        });
        table.tBodies[0].append(...rows);
      });
    });
  }

  function searchable(table) {
    const rows = Array.from(table.tBodies[0].rows, (row) => [row, plain(row.textContent)]);
    if (rows.length < 8) return;
    const box = table.parentElement;
    box.classList.add("tall");
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "search in the rows";
    field.setAttribute("aria-label", `search in ${table.caption.textContent}`);
    const found = document.createElement("span");
    found.setAttribute("role", "status");
    field.addEventListener("input", () => {
      const words = plain(field.value).split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [row, text] of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      found.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
    const bar = document.createElement("div");
    bar.className = "search";
    bar.append(field, found);
    box.before(bar);
  }

  document.querySelectorAll("table.data").forEach((table) => { sortable(table); searchable(table); });
  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) { target.open = true; target.scrollIntoView(); }
  };
  window.addEventListener("hashchange", open);
  open();
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = Array.from(document.querySelectorAll("details:not([open])"));
    closed.forEach((each) => { each.open = true; });
  });
  window.addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));
})();
