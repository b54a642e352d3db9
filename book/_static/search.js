// Search in the dialog (Ctrl+K) and on search.html, and marks on the page that one comes to.  Over file:// a page may
// fetch nothing, so the texts are a script, loaded when somebody is about to search.
(() => {
  const root = document.documentElement.dataset.content_root ?? "";
  const IN_DIALOG = 8, ON_PAGE = 200, OF_ONE_PAGE = 3;  // results that are shown
  const WEIGHT = { page: 1.6, term: 1.4, section: 1, row: 0.5, fold: 0.8, code: 0.4, number: 0.12 };
  const LIBRARY = 0.5;  // what pages of the library count beside chapters
  const NAMED = 6;  // what a function counts if a name of code was typed
  const SILENT = new Set(("a about an and any are as at be been but by can could did do does for from had has have how i if in into is it " +
    "its me my of on or our s so than that the their them then there these they this those to was we were what when where which who " +
    "why will with would you your").split(" "));
  const GREEK = Object.fromEntries(("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon " +
    "phi chi psi omega").split(" ").map((name, i) => [String.fromCharCode(0x3b1 + i), name]));
  const IRREGULAR = { found: "find", ran: "run", learnt: "learn" };

  // --- words ---------------------------------------------------------------------------------

  const wordsIn = (text) => [...text.matchAll(/[\p{L}\p{N}\p{M}]+/gu)];

  // What a word is looked up by: without case, accents and the s of a plural, Greek letters by name.
  function stem(word) {
    const plain = word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[α-ω]/g, (letter) => GREEK[letter]);
    const known = IRREGULAR[plain] ?? plain;
    return known.length > 3 ? known.replace(/ies$/, "y").replace(/([^su])s$/, "$1") : known;
  }

  const stems = (text) => wordsIn(text).map(([word]) => stem(word));

  // A text with the words marked whose stems are among the terms.
  function marked(text, terms, kind) {
    const parts = [];
    let done = 0;
    for (const { 0: word, index } of wordsIn(text)) {
      if (!terms.has(stem(word))) continue;
      const mark = document.createElement("mark");
      if (kind) mark.className = kind;
      mark.textContent = word;
      parts.push(text.slice(done, index), mark);
      done = index + word.length;
    }
    return parts.length ? [...parts, text.slice(done)] : [text];
  }

  // --- the index -----------------------------------------------------------------------------

  function load(file) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      Object.assign(script, { src: root + file, onload: resolve, onerror: () => reject(new Error(`${file} is not there`)) });
      document.head.append(script);
    });
  }

  let made = null;
  const ready = () => (made ??= makeIndex());

  async function makeIndex() {
    let told;
    window.genlabSearchIndex = (all) => { told = all; };
    await Promise.all([load("minisearch/minisearch.min.js"), load("search-index.js")]);
    const places = told.entries.map(([page, kind, anchor, heading, text], id) => {
      const [path, number, title, keywords] = told.pages[page];
      const name = (heading || anchor).replace(`${title}.`, "");  // genlab.toys › score, not › genlab.toys.score
      return { id, path, anchor, kind, heading: name, text, number, title, page: kind === "page" ? "" : title, keywords: kind === "page" ? keywords : "" };
    });
    const index = new MiniSearch({
      fields: ["heading", "keywords", "page", "text"],
      tokenize: (text) => wordsIn(text).map(([word]) => word),
      processTerm: (word) => stem(word) || null,
      searchOptions: {
        boost: { heading: 4, keywords: 4, page: 1.5 },
        prefix: (word) => word.length > 2,
        fuzzy: (word) => (word.length > 5 ? 0.2 : false),
        weights: { prefix: 0.4, fuzzy: 0.15 },
      },
    });
    index.addAll(places);
    return (query) => search(index, places, query);
  }

  function weight({ kind, path }, isCode) {
    if (isCode && kind === "code") return NAMED;
    return WEIGHT[kind] * (path.startsWith("reference/") ? LIBRARY : 1);
  }

  function search(index, places, query) {
    const all = wordsIn(query).map(([word]) => word), isCode = /\w[_.]\w/.test(query);
    const telling = all.filter((word) => !SILENT.has(word.toLowerCase()));
    const words = (telling.length ? telling : all).join(" ");
    const look = (combineWith) => index.search(words, { combineWith, boostDocument: (id) => weight(places[id], isCode) });
    const together = look("AND"), found = together.length ? together : look("OR");
    const spaced = (text) => ` ${stems(text).join(" ")} `;
    const asked = spaced(query), phrase = spaced(words);
    return found
      .map(({ id, score, terms }) => {
        const place = places[id], { heading, keywords, text } = place;
        const together = heading.split(", ").some((name) => spaced(name) === phrase) ? 3
          : all.length < 2 ? 1  // what stands together counts more
          : spaced(keywords).includes(asked) ? 4
          : spaced(heading).includes(phrase) ? 2.5
          : spaced(text).includes(phrase) ? 1.7 : 1;
        return { ...place, terms: new Set(terms), score: score * together };
      })
      .sort((a, b) => b.score - a.score);
  }

  // --- results -------------------------------------------------------------------------------

  // The part of a text with most of the terms.
  function excerpt(text, terms, width = 190) {
    const hits = wordsIn(text).filter(([word]) => terms.has(stem(word))).map(({ 0: word, index }) => [index, stem(word)]);
    let best = 0, most = 0;
    for (const [start] of hits) {
      const inside = new Set(hits.filter(([at]) => at >= start && at < start + width - 50).map(([, term]) => term)).size;
      if (inside > most) [best, most] = [start, inside];
    }
    const from = best < 60 ? 0 : text.lastIndexOf(" ", best - 40) + 1;
    const to = from + width >= text.length ? text.length : text.lastIndexOf(" ", from + width);
    const said = document.createElement("p");
    said.append(from ? "… " : "", ...marked(text.slice(from, to), terms), to < text.length ? " …" : "");
    return said;
  }

  function item({ path, anchor, kind, heading, text, number, title, terms }) {
    const li = document.createElement("li"), link = document.createElement("a");
    link.className = "genlab-hit";
    const shown = new Set(stems(`${heading} ${text}`).filter((term) => terms.has(term)));  // keywords are not on the page
    const marks = shown.size ? `?highlight=${[...shown].map(encodeURIComponent).join("+")}` : "";
    link.href = root + path + marks + (anchor && `#${encodeURIComponent(anchor)}`);
    const page = document.createElement("span");
    page.className = "genlab-of";
    page.append(number ? `${number}. ` : "", ...marked(title, terms));
    if (kind === "page") link.append(...page.childNodes);
    else link.append(page, " › ", ...marked(heading, terms));
    li.append(link, excerpt(kind === "term" ? `${heading}: ${text}` : text, terms));  // a term is a part of its sentence
    return li;
  }

  // At first few of one page, so that one page does not hide the others.
  function shortened(found) {
    const seen = {};
    return found.filter(({ path }) => (seen[path] = (seen[path] ?? 0) + 1) <= OF_ONE_PAGE).slice(0, IN_DIALOG);
  }

  // Results below a search field, as one types.
  function attach(form, whole) {
    const field = form.querySelector("input"), box = document.createElement("div");
    const count = document.createElement("p"), list = document.createElement("ol");
    const every = document.createElement("a");
    box.className = "genlab-found";
    list.id = "genlab-results";
    count.className = "genlab-count";
    count.setAttribute("role", "status");
    count.setAttribute("aria-live", "polite");
    every.className = "genlab-every";
    field.setAttribute("aria-controls", list.id);
    box.append(count, list, every);
    every.hidden = true;
    form.after(box);

    async function show() {
      const query = field.value.trim();
      if (!query) { list.replaceChildren(); count.textContent = ""; every.hidden = true; return; }
      try {
        const found = (await ready())(query);
        if (field.value.trim() !== query) return;  // somebody types on
        const shown = whole ? found.slice(0, ON_PAGE) : shortened(found);
        list.replaceChildren(...shown.map(item));
        count.textContent = !found.length ? `Nothing found for “${query}”`
          : `${found.length} place${found.length > 1 ? "s" : ""}${shown.length < found.length ? `, ${shown.length} of them here` : ""}`;
        every.hidden = whole || shown.length === found.length;
        every.href = `${root}search.html?q=${encodeURIComponent(query)}`;
        every.textContent = `All ${found.length} places`;
      } catch (error) {
        count.textContent = `Search does not work: ${error.message}`;
      }
    }

    field.addEventListener("focus", () => ready().catch(() => {}), { once: true });
    field.addEventListener("input", show);
    box.parentElement.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      const places = [field, ...box.querySelectorAll("a:not([hidden])")], at = places.indexOf(document.activeElement);
      if (!step || at < 0) return;
      event.preventDefault();
      places[Math.min(Math.max(at + step, 0), places.length - 1)].focus();
    });
    return { field, show };
  }

  // --- marks on the page that one comes to ---------------------------------------------------

  const NOT_MARKED = "script, style, pre, svg, button, select, mjx-container, .math, .genlab-filter";

  function markWords() {
    const article = document.querySelector(".bd-article");
    const terms = new Set((new URLSearchParams(location.search).get("highlight") ?? "").split(" ").filter(Boolean));
    if (!terms.size || !article) return;
    const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT), texts = [];
    while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(NOT_MARKED)) texts.push(walker.currentNode);
    for (const text of texts) {
      const parts = marked(text.data, terms, "genlab-mark");
      if (parts.length > 1) text.replaceWith(...parts);
    }
    const marks = [...article.querySelectorAll("mark.genlab-mark")];
    if (!marks.length) return;
    goTo(marks);
    offerToClear(marks.length);
  }

  // The first mark at or behind the place that was aimed at; what is folded there unfolds.
  function goTo(marks) {
    const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const behind = (mark) => place.contains(mark) || place.compareDocumentPosition(mark) & Node.DOCUMENT_POSITION_FOLLOWING;
    const within = place && marks.find((mark) => place.contains(mark));
    const first = within ?? (place ? marks.find(behind) : null) ?? marks.find((mark) => mark.checkVisibility()) ?? marks[0];
    for (let box = first.closest("details:not([open])"); box; box = box.parentElement.closest("details:not([open])")) box.open = true;
    first.closest(".toggle-hidden")?.querySelector("button.toggle-button")?.click();
    first.scrollIntoView({ block: "center", behavior: "instant" });
  }

  function offerToClear(number) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "genlab-unmark", textContent: `Clear ${number} mark${number > 1 ? "s" : ""}` });
    const clear = () => {
      for (const mark of document.querySelectorAll("mark.genlab-mark")) {
        const parent = mark.parentNode;
        mark.replaceWith(...mark.childNodes);
        parent.normalize();
      }
      button.remove();
      document.removeEventListener("keydown", onEscape);
      try { history.replaceState(null, "", location.pathname + location.hash); } catch { /* over file:// not everywhere */ }
    };
    const onEscape = (event) => { if (event.key === "Escape" && !document.querySelector("dialog[open]")) clear(); };
    button.addEventListener("click", clear);
    document.addEventListener("keydown", onEscape);
    document.body.append(button);
  }

  // --- start ---------------------------------------------------------------------------------

  const onPage = document.querySelector(".bd-search-container form");
  const inDialog = document.querySelector("#pst-search-dialog form");
  if (onPage) {
    const { field, show } = attach(onPage, true);
    field.value = new URLSearchParams(location.search).get("q") ?? "";
    field.focus();
    show();
  } else if (inDialog) attach(inDialog, false);
  // when MathJax, folds and pictures have their places
  if (document.readyState === "complete") markWords();
  else window.addEventListener("load", markWords);
})();
