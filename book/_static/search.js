// Search in the dialog (Ctrl+K) and on the search page, and marks on the page that one comes to.  Over file:// nothing
// may be fetched, so the texts are a script of their own, loaded when somebody searches.
(() => {
  const root = document.documentElement.dataset.content_root ?? "";
  const STOP = new Set("a an and are as at be by can did do does for from how i in is it me my of on or that the they this to was we what when where which who why with".split(" "));
  let loading = null;

  function load(file) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      Object.assign(script, { src: root + file, onload: resolve, onerror: () => reject(new Error(file)) });
      document.head.append(script);
    });
  }

  // The index, made once.
  function ready() {
    return (loading ??= (async () => {
      let texts = [];
      window.genlabTexts = (told) => { texts = told; };
      await Promise.all([load("minisearch/minisearch.js"), load("search-texts.js")]);
      const term = (word) => (STOP.has(word.toLowerCase()) ? null : word.toLowerCase());
      const index = new MiniSearch({ fields: ["title", "page", "text"], processTerm: term, searchOptions: { boost: { title: 4, page: 2 }, prefix: true, fuzzy: (word) => (word.length > 4 ? 0.15 : false) } });
      index.addAll(texts.map((text, id) => ({ ...text, id })));
      return (words) => {
        const all = index.search(words, { combineWith: "AND" });
        const found = all.length ? all : index.search(words);
        // what stands together counts more than what is scattered
        const phrase = words.trim().toLowerCase();
        return found.map(({ id, score, terms }) => {
          const text = texts[id], whole = `${text.title} ${text.text}`.toLowerCase().includes(phrase);
          return { ...text, terms, score: score * (whole ? 2 : 1) };
        }).sort((a, b) => b.score - a.score);
      };
    })());
  }

  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const pattern = (terms) => new RegExp(`(?<![\\p{L}\\p{N}])(?:${terms.map(escaped).sort((a, b) => b.length - a.length).join("|")})(?![\\p{L}\\p{N}])`, "giu");

  // The part of a text in which the first of the terms stands, with all of them marked.
  function excerpt(text, terms) {
    const found = pattern(terms), at = text.search(found), said = document.createElement("p");
    const start = at < 90 ? 0 : text.indexOf(" ", at - 80) + 1;
    const part = text.slice(start, start + 220);
    let done = 0;
    if (start) said.append("… ");
    for (const match of part.matchAll(found)) {
      const mark = document.createElement("mark");
      mark.textContent = match[0];
      said.append(part.slice(done, match.index), mark);
      done = match.index + match[0].length;
    }
    said.append(part.slice(done), start + 220 < text.length ? " …" : "");
    return said;
  }

  function item({ where, page, title, text, terms }) {
    const li = document.createElement("li"), link = document.createElement("a"), from = document.createElement("small");
    const [path, anchor] = where.split("#");
    link.className = "genlab-hit";
    link.href = `${root}${path}?highlight=${encodeURIComponent(terms.join(" "))}${anchor ? `#${anchor}` : ""}`;
    link.textContent = title;
    if (title !== page) { from.textContent = page; link.append(" ", from); }
    li.append(link, excerpt(text, terms));
    return li;
  }

  // Results below a search field, as one types.
  function attach(form, most) {
    const field = form.querySelector("input"), box = document.createElement("div");
    const count = document.createElement("output"), list = document.createElement("ol");
    box.className = "genlab-found";
    list.id = "genlab-results";
    count.setAttribute("aria-live", "polite");
    box.append(count, list);
    form.after(box);
    const show = async () => {
      const words = field.value.trim();
      if (words.length < 2) { list.replaceChildren(); count.textContent = ""; return; }
      try {
        const found = (await ready())(words);
        if (field.value.trim() !== words) return;  // somebody types on
        list.replaceChildren(...found.slice(0, most).map(item));
        count.textContent = found.length === 0 ? `nothing found for “${words}”`
          : `${found.length} place${found.length > 1 ? "s" : ""}${found.length > most ? `, the first ${most}` : ""}`;
      } catch (error) {
        count.textContent = `search is not available: ${error.message} cannot be loaded`;
      }
    };
    field.addEventListener("input", show);
    form.parentElement.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      const places = [field, ...list.querySelectorAll("a")], at = places.indexOf(document.activeElement);
      places[Math.min(Math.max(at + step, 0), places.length - 1)].focus();
      event.preventDefault();
    });
    form.addEventListener("submit", (event) => { if (most > 20) { event.preventDefault(); show(); } });
    return { field, show };
  }

  // Mark the words that led here, and go to the first of them behind the place that was aimed at.
  function markWords() {
    const words = new URLSearchParams(location.search).get("highlight"), article = document.querySelector(".bd-article");
    if (!words || !article) return;
    const found = pattern(words.split(" ").filter(Boolean)), texts = [];
    const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT, (node) =>
      (node.parentElement.closest("script, style, mjx-container, .math, svg, button, select") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT));
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) {
      const parts = [];
      let done = 0;
      for (const match of text.data.matchAll(found)) {
        const mark = document.createElement("mark");
        mark.className = "genlab-mark";
        mark.textContent = match[0];
        parts.push(text.data.slice(done, match.index), mark);
        done = match.index + match[0].length;
      }
      if (parts.length) text.replaceWith(...parts, text.data.slice(done));
    }
    const marks = [...document.querySelectorAll("mark.genlab-mark")];
    if (!marks.length) return;
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const behind = (mark) => !target || target.contains(mark) || target.compareDocumentPosition(mark) & Node.DOCUMENT_POSITION_FOLLOWING;
    const shown = marks.filter((mark) => mark.checkVisibility());
    (shown.find(behind) ?? shown[0])?.scrollIntoView({ block: "center" });
    const clear = document.createElement("button");
    clear.type = "button";
    clear.className = "genlab-clear";
    clear.textContent = `Clear ${marks.length} mark${marks.length > 1 ? "s" : ""}`;
    const away = () => {
      for (const mark of document.querySelectorAll("mark.genlab-mark")) mark.replaceWith(...mark.childNodes);
      clear.remove();
    };
    clear.addEventListener("click", away);
    document.body.append(clear);
  }

  document.addEventListener("DOMContentLoaded", () => {
    const dialog = document.querySelector("#pst-search-dialog form"), page = document.querySelector(".bd-search-container form");
    if (dialog) attach(dialog, 8);
    if (page) {
      const { field, show } = attach(page, 50);
      field.value = new URLSearchParams(location.search).get("q") ?? "";
      field.focus();
      show();
    }
  });
  // after MathJax and folded parts have their places
  window.addEventListener("load", markWords);
})();
