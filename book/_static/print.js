/* The foot of a printed page: what it is, from where and when.  Only the browser knows the address. */
(() => {
  const quoted = (text) => `"${text.replace(/[\\"]/g, "\\$&").replace(/\s+/g, " ")}"`;
  const style = document.createElement("style");
  addEventListener("beforeprint", () => {
    for (const later of document.querySelectorAll("img[loading=lazy]")) later.loading = "eager";
    const day = new Date().toISOString().slice(0, 10);
    const from = location.protocol === "file:" ? location.pathname.split("/").slice(-2).join("/") : location.href;
    const font = "font: 8pt sans-serif; color: #586171;";
    style.textContent = `@page {
      @bottom-left { content: ${quoted(`${document.title} · ${from} · ${day}`)}; ${font} }
      @bottom-right { content: counter(page) " / " counter(pages); ${font} }
    }`;
    document.head.append(style);
  });
})();
