// Maps of codes (.genlab-hover): the point nearest to the pointer shows its picture; arrows go to the nearest point on that side.
(() => {
  const { loadFilm } = window.genlab;  // player.js
  const SIDES = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  const PICTURE = 28, NEAR = 18;  // pixels; units of the map

  async function openMap(box) {
    const film = await loadFilm(box.dataset.film);
    const sprite = new Image();
    sprite.src = `data:image/webp;base64,${film.sprite}`;
    await sprite.decode();
    return { ...film, sprite };
  }

  // The point to which a step from `from` in a direction leads: near, and not far to the side of it.
  function neighbour(places, from, [dx, dy]) {
    let best = from, least = Infinity;
    places.forEach(([x, y], i) => {
      const ahead = (x - places[from][0]) * dx + (y - places[from][1]) * dy;
      const aside = Math.abs((x - places[from][0]) * dy + (y - places[from][1]) * dx);
      if (ahead > 0 && aside <= ahead && ahead + 2 * aside < least) [best, least] = [i, ahead + 2 * aside];
    });
    return best;
  }

  function addMap(box) {
    const svg = box.querySelector("svg"), points = [...box.querySelectorAll("circle")];
    const buttons = [...box.querySelectorAll("button")], told = box.querySelector("output");
    const pen = box.querySelector("canvas").getContext("2d");
    let opened = null, map = 0, at = null;
    const ready = () => (opened ??= openMap(box));
    const show = async (i) => {
      const { sprite, columns, classes, labels } = await ready();
      points[at ?? i].classList.remove("on");
      points[i].classList.add("on");
      at = i;
      pen.drawImage(sprite, PICTURE * (i % columns), PICTURE * Math.floor(i / columns), PICTURE, PICTURE, 0, 0, PICTURE, PICTURE);
      told.textContent = classes[labels[i]];
    };
    const place = async (m) => {
      map = m;
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === m));
      const { maps } = await ready();
      points.forEach((point, i) => point.setAttribute("transform", `translate(${maps[m][i]})`));
    };
    const point = async (event) => {
      const { maps } = await ready();
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const far = maps[map].map(([a, b]) => Math.hypot(a - x, b - y));
      const nearest = far.indexOf(Math.min(...far));
      if (far[nearest] < NEAR && nearest !== at) show(nearest);
    };
    buttons.forEach((button, m) => {
      button.setAttribute("aria-pressed", m === 0);
      button.addEventListener("click", () => place(m));
    });
    svg.tabIndex = 0;
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("keydown", async (event) => {
      if (!SIDES[event.key]) return;
      event.preventDefault();
      const { maps } = await ready();
      show(at === null ? neighbour([...maps[map], [220, 220]], points.length, SIDES[event.key]) % points.length
        : neighbour(maps[map], at, SIDES[event.key]));
    });
  }

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".genlab-hover").forEach(addMap));
})();
