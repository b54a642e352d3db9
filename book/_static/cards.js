/* A card over links to the glossary, the references, and figures and equations of the page. */
(() => {
  const root = new URL(document.documentElement.dataset.content_root || "./", location.href).href;
  const here = location.href.replace(/[?#].*$/, "");
  let card, shown, timer, asked;

  /* The entries come by a script when they are first needed: from a file a page may not fetch. */
  function entries() {
    asked ??= new Promise((done) => {
      const script = document.createElement("script");
      script.src = `${root}_static/cards-data.js`;
      script.onload = script.onerror = () => done(window.genlabCards || {});
      document.head.append(script);
    });
    return asked;
  }

  const link = (target) => target.closest?.(".bd-article a[href*='#']:not(.headerlink, .genlab-back a)");

  async function content(a) {
    const address = a.href;
    if (a.querySelector(".genlab-term, .std-term") || a.closest(".bibtex-citation")) {
      const html = (await entries())[address.slice(root.length)];
      if (!html) return null;
      const made = document.createElement("div");
      made.innerHTML = html;
      for (const inner of made.querySelectorAll("a[href]")) {
        const to = inner.getAttribute("href");
        if (!/^[a-z]+:/.test(to)) inner.href = root + to;
      }
      return made;
    }
    const target = address.startsWith(`${here}#`) && document.getElementById(decodeURIComponent(a.hash.slice(1)));
    return target ? copy(target) : null;
  }

  function copy(target) {
    const part = target.closest("figure, div.math") ?? target.querySelector?.(":scope > figure");
    if (!part) return null;
    const made = part.cloneNode(true);
    for (const marked of [made, ...made.querySelectorAll("[id]")]) marked.removeAttribute("id");
    for (const extra of made.querySelectorAll(".headerlink, button")) extra.remove();
    return made;
  }

  async function show(a) {
    if (shown === a) return;
    const inside = await content(a);
    if (!inside || wanted !== a) return;
    hide();
    shown = a;
    card = document.createElement("div");
    card.className = "genlab-hovercard bd-article";
    card.id = "genlab-hovercard";
    card.setAttribute("role", "tooltip");
    card.append(inside);
    (document.querySelector("main") ?? document.body).append(card);
    a.setAttribute("aria-describedby", card.id);
    card.addEventListener("pointerenter", () => clearTimeout(timer));
    card.addEventListener("pointerleave", later);
    place(a);
  }

  /* Below the line that is pointed at; above it where there is no room. */
  function place(a) {
    const boxes = [...a.getClientRects()];
    const box = boxes[0] ?? a.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left), document.documentElement.clientWidth - card.offsetWidth - 8);
    const below = boxes.at(-1).bottom + 6;
    const above = box.top - card.offsetHeight - 6;
    const top = below + card.offsetHeight > innerHeight && above > 0 ? above : below;
    const origin = card.getBoundingClientRect();
    card.style.left = `${left - origin.left}px`;
    card.style.top = `${top - origin.top}px`;
  }

  function hide() {
    clearTimeout(timer);
    shown?.removeAttribute("aria-describedby");
    card?.remove();
    card = shown = null;
  }

  let wanted;
  function later() {
    clearTimeout(timer);
    timer = setTimeout(hide, 250);
  }
  function want(a, wait) {
    clearTimeout(timer);
    wanted = a;
    timer = setTimeout(() => show(a), wait);
  }
  function leave(target) {
    if (!link(target)) return;
    wanted = null;
    later();
  }

  document.addEventListener("pointerover", (e) => {
    if (e.pointerType === "mouse" && link(e.target)) want(link(e.target), 150);
  });
  document.addEventListener("pointerout", (e) => e.pointerType === "mouse" && leave(e.target));
  document.addEventListener("focusin", (e) => {
    if (link(e.target) && e.target.matches(":focus-visible")) want(link(e.target), 0);
  });
  document.addEventListener("focusout", (e) => leave(e.target));
  document.addEventListener("keydown", (e) => e.key === "Escape" && hide());

  /* Touch: the first tap opens the card, a second one follows the link, one elsewhere closes. */
  let touched = false;
  document.addEventListener("pointerdown", (e) => { touched = e.pointerType === "touch"; });
  document.addEventListener("click", (e) => {
    const a = link(e.target);
    if (touched && a && a !== shown && a.matches(".bibtex-citation a, a:has(.genlab-term, .std-term)")) {
      e.preventDefault();
      want(a, 0);
    } else if (card && !card.contains(e.target)) hide();
  });
})();
