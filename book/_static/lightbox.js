// A figure of the text enlarged, in a dialog: fitted or at its own size, with its caption, and from figure to figure.
(() => {
  const { element } = window.genlab;  // player.js
  document.addEventListener("DOMContentLoaded", () => {
    const images = [...document.querySelectorAll(".bd-article figure img")].filter(
      (image) => !image.closest("a, .genlab-player, .genlab-slider, .genlab-hover"));
    if (!images.length) return;
    const show = lightbox(images);
    images.forEach((image, i) => {
      const button = element("button", { type: "button", class: "genlab-zoom", "aria-haspopup": "dialog", title: "enlarge" });
      image.replaceWith(button);
      button.append(image);
      button.addEventListener("click", () => show(i));
    });
  });

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

    const fit = () => Math.min(view.clientWidth / large.naturalWidth, view.clientHeight / large.naturalHeight);
    const size = (whole) => {  // fitted, or one pixel of the picture for one of the screen
      zoom.setAttribute("aria-pressed", whole);
      large.style.width = `${Math.round(large.naturalWidth * (whole ? Math.max(1, 1.6 * fit()) : Math.min(fit(), 2)))}px`;
      dialog.classList.toggle("genlab-whole", whole);
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
      const button = images[at].closest("button");
      button.scrollIntoView({ block: "nearest" });
      button.focus();
    });
    dialog.addEventListener("keydown", (event) => {
      const scrolls = dialog.classList.contains("genlab-whole") && document.activeElement === view;
      if (event.key === "ArrowLeft" && !scrolls) show(at - 1);
      else if (event.key === "ArrowRight" && !scrolls) show(at + 1);
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
