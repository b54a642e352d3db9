// What is wider than its place scrolls: such tables, formulas and code get the class that shows where there is more.
document.addEventListener("DOMContentLoaded", () => {
  const places = document.querySelectorAll(".bd-article :is(pre, .pst-scrollable-table-container, .genlab-scroll, .output.text_html, .genlab-film, div.math)");
  const scrolling = (place) => place.querySelector("mjx-container[display]") ?? place;
  const look = (place) => {
    const { scrollWidth, clientWidth, scrollLeft } = scrolling(place);
    const wide = place.classList.toggle("genlab-wide", scrollWidth > clientWidth + 1);
    if (place.matches(".genlab-film")) place.tabIndex = wide ? 0 : -1;  // the theme does so for the others
    place.classList.toggle("genlab-at-end", scrollLeft + clientWidth > scrollWidth - 4);
  };
  const sizes = new ResizeObserver((entries) => entries.forEach((entry) => look(entry.target)));
  for (const place of places) {
    sizes.observe(place);
    place.addEventListener("scroll", () => look(place), { passive: true, capture: true });  // of a formula inside, too
  }
  window.MathJax?.startup?.promise?.then(() => places.forEach(look));
});
