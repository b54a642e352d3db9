// A figure of the text enlarged, in a dialog: fitted or at its own size, with its caption, and from figure to figure.
(() => {
  const { element } = window.genlab;  // player.js
  document.addEventListener("DOMContentLoaded", () => {
    const images = [...document.querySelectorAll(".bd-article figure img")].filter(
      (image) => !image.closest(".genlab-parts, .genlab-player, .genlab-slider, .genlab-hover, a:not(.image-reference)"));
    if (!images.length) return;
    const show = lightbox(images);
    images.forEach((image, i) => {
      const control = opener(image);
      control.addEventListener("click", () => show(i));
      control.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        show(i);
      });
    });
  });

  // A control around a picture and what panels.js put beside it.  No <button>: its parts would not hear the pointer.
  function opener(image) {
    const control = element("span", { class: "genlab-zoom", role: "button", tabindex: 0, "aria-haspopup": "dialog", "aria-description": "enlarge" });
    const link = image.closest("a"), first = image.closest(".genlab-numbered") ?? image, parts = first.nextElementSibling;
    (link ?? first).before(control);
    control.append(...(link ? link.childNodes : [first, ...(parts?.matches(".genlab-parts") ? [parts] : [])]));
    link?.remove();
    return control;
  }

  // A dialog over the images: a function that opens it at one of them.
  function lightbox(images) {
    const title = element("output"), caption = element("p"), large = element("img");
    const view = element("div", { class: "genlab-lightbox-view", tabindex: 0, autofocus: "" }, large);
    const [back, on, zoom, close] = [["previous figure", "←"], ["next figure", "→"], ["enlarge", "zoom"], ["close", "×"]].map(
      ([name, sign]) => element("button", { type: "button", "aria-label": name, title: name }, sign));
    const bar = element("div", { class: "genlab-lightbox-bar" }, title, back, on, zoom, close);
    const dialog = element("dialog", { class: "genlab-lightbox", "aria-label": "figure" }, bar, view, caption);
    document.body.append(dialog);
    let at = 0;

    const own = () => parseFloat(images[at].style.width) || large.naturalWidth;  // a sharp picture has two pixels for one
    const fit = () => Math.min(view.clientWidth, (view.clientHeight / large.naturalHeight) * large.naturalWidth) / own();
    const size = (whole) => {  // fitted, or as large as it was drawn and at least half as large again
      zoom.setAttribute("aria-pressed", whole);
      large.style.width = `${Math.round(own() * (whole ? Math.max(1, 1.5 * fit()) : Math.min(fit(), 2)))}px`;
      dialog.classList.toggle("genlab-enlarged", whole);
    };
    const show = async (i) => {
      at = (i + images.length) % images.length;
      const figure = images[at].closest("figure"), said = figure.querySelector("figcaption");
      large.src = images[at].currentSrc || images[at].src;
      large.alt = images[at].alt;
      const number = said?.querySelector(".caption-number")?.textContent.trim() ?? "";
      title.textContent = [number, `${at + 1} of ${images.length}`].filter(Boolean).join(" · ");
      caption.replaceChildren(...(said?.querySelector(".caption-text")?.cloneNode(true).childNodes ?? []));
      if (!dialog.open) dialog.showModal();
      await large.decode().catch(() => {});
      size(fit() < 0.6);  // what would be too small to read opens at its own size
      view.scrollTo(0, 0);
    };
    back.addEventListener("click", () => show(at - 1));
    on.addEventListener("click", () => show(at + 1));
    zoom.addEventListener("click", () => size(zoom.getAttribute("aria-pressed") !== "true"));
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => {
      const control = images[at].closest(".genlab-zoom");
      control.scrollIntoView({ block: "nearest" });
      control.focus();
    });
    dialog.addEventListener("keydown", (event) => {
      event.stopPropagation();  // Sphinx takes Escape for itself
      const turn = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (turn && event.shiftKey) view.scrollBy(turn * 60, 0);
      else if (turn) show(at + turn);
      else if (event.key === "+" || event.key === "-") size(event.key === "+");
      else return;
      event.preventDefault();
    });
    dragged(view, (still) => { if (still) size(zoom.getAttribute("aria-pressed") !== "true"); });
    return show;
  }

  // The view follows a mouse that drags; a finger scrolls by itself.  A click without motion is told.
  function dragged(view, ended) {
    view.addEventListener("pointerdown", (down) => {
      if (down.pointerType !== "mouse" || down.button) return;
      const { scrollLeft, scrollTop } = view;
      let moved = false;
      const follow = (move) => {
        const [dx, dy] = [move.clientX - down.clientX, move.clientY - down.clientY];
        moved ||= Math.hypot(dx, dy) > 4;
        view.scrollTo(scrollLeft - dx, scrollTop - dy);
      };
      view.addEventListener("pointermove", follow);
      addEventListener("pointerup", () => { view.removeEventListener("pointermove", follow); ended(!moved); }, { once: true });
      down.preventDefault();
      view.focus({ preventScroll: true });
    });
  }
})();
