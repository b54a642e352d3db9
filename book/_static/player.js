// Animations (.genlab-player) and sliders (.genlab-slider): a still picture gets controls.  Its frames lie in a script
// of their own, which is loaded when somebody comes near: a page on a disk may not fetch.  Nothing moves by itself.
(() => {
  window.genlabFilm = (film) => { document.currentScript.film = film; };

  function loadFilm(address) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      Object.assign(script, { src: address, onload: () => resolve(script.film), onerror: reject });
      document.head.append(script);
    });
  }

  function element(tag, attributes = {}, ...inside) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...inside);
    return made;
  }

  function picture(base64) {
    const bytes = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
    return createImageBitmap(new Blob([bytes], { type: "image/webp" }));
  }

  // What the box shows: a function that draws frame `at`, laid over the frames before it since the last whole one.
  async function opened(box) {
    const { frames, texts } = await loadFilm(box.dataset.film);
    const pictures = await Promise.all(frames.map(([base64]) => picture(base64)));
    const still = box.querySelector("img");
    const { width, height } = pictures[0];
    const canvas = element("canvas", { width, height, role: "img", "aria-label": still.alt });
    const pen = canvas.getContext("2d");
    const whole = (i) => frames[i][4] && pictures[i].width === width && pictures[i].height === height;
    const draw = (at) => {
      let i = at;
      while (i > 0 && !whole(i)) i -= 1;
      for (; i <= at; i += 1) {
        const [, x, y, , replaces] = frames[i], { width: w, height: h } = pictures[i];
        if (i && frames[i - 1][5]) pen.clearRect(frames[i - 1][1], frames[i - 1][2], pictures[i - 1].width, pictures[i - 1].height);
        if (replaces) pen.clearRect(x, y, w, h);
        pen.drawImage(pictures[i], x, y);
      }
      if (!canvas.isConnected) still.after(canvas);
      box.classList.add("genlab-moved");
    };
    return { draw, texts, milliseconds: frames.map((frame) => frame[3]) };
  }

  function addControls(box) {
    const last = box.dataset.count - 1, slides = box.classList.contains("genlab-slider");
    const range = element("input", { type: "range", min: 0, max: last, value: slides ? box.dataset.start : last });
    const told = element("output", { "aria-live": "off" });
    let film = null, timer = 0;
    const ready = () => (film ??= opened(box));
    const say = (text) => { told.textContent = text; range.setAttribute("aria-valuetext", text); };
    const show = async (at) => {
      range.value = at;
      const { draw, texts } = await ready();
      if (range.valueAsNumber !== at) return;  // somebody was faster
      draw(at);
      say(texts ? texts[at] : `frame ${at + 1} of ${last + 1}`);
    };
    box.addEventListener("pointerenter", ready, { once: true });
    box.addEventListener("focusin", ready, { once: true });
    const controls = element("div", { class: "genlab-controls" });
    if (slides) {
      controls.append(element("label", {}, `${box.dataset.label} `, range), told);
      range.addEventListener("input", () => show(range.valueAsNumber));
      say(box.dataset.text);
    } else {
      range.setAttribute("aria-label", "frame");
      const play = element("button", { type: "button", class: "genlab-play", "aria-label": "play", "aria-pressed": false });
      const stop = () => { clearTimeout(timer); timer = 0; play.setAttribute("aria-pressed", false); };
      const step = (by) => { stop(); show(Math.min(Math.max(range.valueAsNumber + by, 0), last)); };
      const steps = [-1, 1].map((by) => {
        const button = element("button", { type: "button", class: "genlab-step", "data-step": by, "aria-label": by < 0 ? "one frame back" : "one frame on" });
        button.addEventListener("click", () => step(by));
        return button;
      });
      const run = async () => {  // once through, to the last frame
        const { milliseconds } = await ready();
        const next = async (at) => {
          await show(at);
          if (at === last || !timer) return stop();
          timer = setTimeout(() => next(at + 1), milliseconds[at]);
        };
        if (timer) next(range.valueAsNumber === last ? 0 : range.valueAsNumber);
      };
      play.addEventListener("click", () => {
        if (timer) return stop();
        play.setAttribute("aria-pressed", true);
        timer = -1;  // until the film is there
        run();
      });
      range.addEventListener("input", () => { stop(); show(range.valueAsNumber); });
      controls.setAttribute("role", "group");
      controls.setAttribute("aria-label", "animation");
      controls.append(steps[0], play, steps[1], range, told);
      say(`${last + 1} frames`);
    }
    box.append(controls);
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".genlab-player, .genlab-slider").forEach(addControls);
  });
  window.genlab = { ...window.genlab, element, loadFilm };
})();
