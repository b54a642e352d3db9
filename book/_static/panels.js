// Figures: on narrow screens their panels stand below each other; pointing at a curve shows its values.
document.addEventListener("DOMContentLoaded", () => {
  for (const script of document.querySelectorAll("script.genlab-cuts")) stack(script);
  for (const script of document.querySelectorAll("script.genlab-numbers")) hover(script);
});

const narrow = matchMedia("(max-width: 600px)");

// The picture that a script stands behind.
function pictureBefore(script) {
  const all = [...script.closest("figure, .cell_output, section").querySelectorAll("img:not(.genlab-parts img)")];
  return all.filter((img) => img.compareDocumentPosition(script) & Node.DOCUMENT_POSITION_FOLLOWING).pop();
}

function stack(script) {
  const img = pictureBefore(script), { cuts, names, rows, paper } = JSON.parse(script.textContent);
  if (!img) return;
  const ends = [0, ...cuts, 1], parts = document.createElement("span");
  // What each part shows of the picture; names of rows that stand at the first are repeated.
  const shown = [...cuts, 1].map((end, i) => [...(i && names ? [[0, names]] : []), [ends[i], end]]);
  const widths = shown.map((windows) => windows.reduce((sum, [from, to]) => sum + to - from, 0));
  parts.className = "genlab-parts";
  shown.forEach((windows, i) => {
    const part = document.createElement("span");
    part.style.width = `${(100 * widths[i]) / Math.max(...widths)}%`;  // letters of one size in all
    for (const [from, to] of windows) {
      const pane = document.createElement("span"), copy = img.cloneNode(), share = to - from;
      pane.style.width = `${(100 * share) / widths[i]}%`;
      Object.assign(copy.style, { width: `${100 / share}%`, marginLeft: `${(-100 * from) / share}%` });
      copy.removeAttribute("id");
      if (i) copy.alt = "";
      if (i && !from) {  // of the names only what stands beside these panels
        const sheet = document.createElement("span");  // of its own, for in the dark pictures are dimmed
        sheet.className = "genlab-paper";
        sheet.style.background = paper;
        pane.append(sheet);
        const corners = rows.flatMap(([top, bottom]) => [[0, top], [1, top], [1, bottom], [0, bottom], [0, top]]);
        copy.style.clipPath = `polygon(${corners.map((xy) => xy.map((v) => `${100 * v}%`).join(" ")).join()})`;
      }
      pane.append(copy);
      part.append(pane);
    }
    parts.append(part);
  });
  parts.addEventListener("click", () => img.click());
  img.after(parts);
  const choose = () => {
    img.classList.toggle("genlab-whole", narrow.matches);
    parts.hidden = !narrow.matches;
  };
  narrow.addEventListener("change", choose);
  choose();
}

function hover(script) {
  const img = pictureBefore(script), panels = JSON.parse(script.textContent);
  if (!img) return;
  const box = document.createElement("span"), card = document.createElement("span"), dots = [];
  box.className = "genlab-numbered";
  card.className = "genlab-values";
  card.hidden = true;
  img.before(box);
  box.append(img, card);
  const hide = () => { card.hidden = true; dots.splice(0).forEach((dot) => dot.remove()); };
  box.addEventListener("pointerleave", hide);
  box.addEventListener("pointermove", (event) => {
    hide();
    const frame = img.getBoundingClientRect();
    const at = { x: (event.clientX - frame.left) / frame.width, y: (event.clientY - frame.top) / frame.height };
    const panel = panels.find(({ box: [left, top, right, bottom] }) =>
      at.x >= left && at.x <= right && at.y >= top && at.y <= bottom);
    const found = panel ? nearest(panel, at) : [];
    if (!found.length) return;
    card.replaceChildren(...lines(panel, found));
    card.hidden = false;
    for (const point of found) {
      const dot = document.createElement("span");
      dot.className = "genlab-dot";
      Object.assign(dot.style, { left: `${100 * point.left}%`, top: `${100 * point.top}%`, background: point.color });
      dots.push(dot);
      box.append(dot);
    }
    const right = at.x > 0.5;
    Object.assign(card.style, {
      top: `${100 * at.y}%`, left: right ? "auto" : `calc(${100 * at.x}% + 14px)`,
      right: right ? `calc(${100 * (1 - at.x)}% + 14px)` : "auto",
    });
  });
  img.closest("figure")?.querySelector("figcaption")?.append(download(panels, img));
}

// Where a value lies on an axis, as a share of it.
function along({ scale, limits: [low, high] }, value) {
  const way = { linear: (v) => v, log: Math.log10 }[scale];
  return way ? (way(value) - way(low)) / (way(high) - way(low)) : NaN;
}

// Of each series the point whose x is nearest to the pointer's, at most six series.
function nearest(panel, at) {
  const [left, top, right, bottom] = panel.box, found = [];
  for (const { label, color, x, y } of panel.series) {
    let best = null;
    x.forEach((value, i) => {
      if (value === null || y[i] === null) return;
      const point = {
        label, color, x: value, y: y[i],
        left: left + (right - left) * along(panel.x, value), top: bottom - (bottom - top) * along(panel.y, y[i]),
      };
      if (!(Math.abs(point.left - at.x) >= Math.abs(best?.left - at.x))) best = point;
    });
    const reach = Math.max(0.03, (right - left) / (2 * Math.max(x.length, panel.series.length)));
    if (best && Math.abs(best.left - at.x) < reach && best.top >= top && best.top <= bottom) found.push(best);
  }
  return found.sort((a, b) => Math.abs(a.top - at.y) - Math.abs(b.top - at.y)).slice(0, 6).sort((a, b) => a.top - b.top);
}

function lines(panel, found) {
  const said = (value) => String(value).replace("-", "−");
  const head = document.createElement("b"), name = panel.x.names?.[found[0].x];
  head.textContent = name ?? `${panel.x.label || "x"} ${said(found[0].x)}`;
  return [head, ...found.map(({ label, color, y }) => {
    const line = document.createElement("span"), key = document.createElement("i");
    key.style.background = color;
    line.append(key, `${(label !== name && label) || panel.y.label} ${said(y)}`);
    return line;
  })];
}

// A link that saves all that the figure's curves and bars show.
function download(panels, img) {
  const link = document.createElement("a");
  link.className = "genlab-csv";
  link.textContent = "Numbers (CSV)";
  link.href = "#";
  link.addEventListener("click", () => {
    const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
    const rows = panels.flatMap((p) => p.series.flatMap((s) => s.x.map((x, i) =>
      [quoted(p.title), quoted(s.label), quoted(p.x.label), x, quoted(p.y.label), s.y[i]].join())));
    const csv = ["panel,series,x_is,x,y_is,y", ...rows, ""].join("\n");
    link.href = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
    link.download = `${img.closest("figure")?.id || "figure"}.csv`;
  });
  return link;
}
