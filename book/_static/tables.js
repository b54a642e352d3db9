// Tables of class genlab-sortable: a click on a head sorts by that column, a field above filters the rows.
// page.html?rows=WORDS comes with the rows filtered; the word page:NAME means the rows that link to that chapter.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.genlab-sortable")) {
    const rows = [...table.tBodies[0].rows];
    addFilter(table, rows);
    [...table.tHead.rows[0].cells].forEach((head, column) => addOrder(table, head, column));
  }
});

function addFilter(table, rows) {
  const box = document.createElement("div"), field = document.createElement("input");
  const count = document.createElement("output");
  box.className = "genlab-filter";
  Object.assign(field, { type: "search", placeholder: "filter the rows: words, all of which must occur" });
  field.setAttribute("aria-label", "filter the rows of the table");
  box.append(field, count);
  table.parentElement.before(box);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const pages = rows.map((row) => [...row.querySelectorAll("a[href*='notebooks/']")].map(chapter));
  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (i, word) => (word.startsWith("page:") ? pages[i].includes(word.slice(5)) : texts[i].includes(word));
    rows.forEach((row, i) => { row.hidden = !words.every((word) => has(i, word)); });
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
  };
  field.addEventListener("input", filter);
  field.value = new URLSearchParams(location.search).get("rows") ?? "";
  filter();
}

const chapter = (link) => link.pathname.split("/").pop().replace(".html", "").toLowerCase();

function addOrder(table, head, column) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const falling = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const order = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");  // empty cells last
      const by = isNaN(x) || isNaN(y) ? x.localeCompare(y, "en", { numeric: true }) : x - y;
      return falling ? -by : by;
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
  });
}
