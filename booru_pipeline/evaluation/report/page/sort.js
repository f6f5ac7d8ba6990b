"use strict";
(() => {
  // What serves the report answers questions, too; a file on a disk does not.
  if (location.protocol.startsWith("http")) {
    const link = Object.assign(document.createElement("a"), { href: "/", textContent: "ask the model" });
    document.querySelector(".eyebrow").append(" · ", link);
  }

  const words = new Intl.Collator("en", { numeric: true });

  const key = (row, column, numeric) => {
    const cell = row.cells[column];
    if (!numeric) return cell.textContent.trim();
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };

  const compare = (one, other, numeric, sign) => {
    if (one === null || other === null) return (one === null) - (other === null); // no figure: last, either way
    return sign * (numeric ? one - other : words.compare(one, other));
  };

  // Rows are sorted within their own <tbody>, whose heading stays first.
  const sort = (table, column, direction, numeric) => {
    for (const body of table.tBodies) {
      const rows = body.booruRows ??= [...body.rows].filter((row) => !row.classList.contains("group"));
      const order = rows.map((row, place) => [row, key(row, column, numeric), place]);
      if (direction !== "none") {
        const sign = direction === "ascending" ? 1 : -1;
        order.sort((one, other) => compare(one[1], other[1], numeric, sign) || one[2] - other[2]);
      }
      body.append(...order.map(([row]) => row));
    }
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const numeric = head.classList.contains("n");
      const turns = numeric ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const next = turns[(turns.indexOf(head.getAttribute("aria-sort")) + 1) % turns.length];
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", next);
        sort(table, column, next, numeric);
      });
    });
  }

  // Paper cannot be clicked.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });
})();
