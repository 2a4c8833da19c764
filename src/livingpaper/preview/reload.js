// Put into pages by `livingpaper preview` alone: reloads a page that was printed anew where the reader was, and says in
// a bar what is wrong.
(function () {
  "use strict";
  const own = document.currentScript.dataset;
  const KEY = "livingpaper-preview";
  const PATIENCE = 1200; // ms before a build under way, or a lost connection, is worth a word
  const TOP = 90; // px: the bar of the site, and a line
  const folds = () => Array.from(document.querySelectorAll("details"));

  // --- where the reader was ------------------------------------------------------------------------------------------

  function remember() {
    const marks = Array.from(document.querySelectorAll("main [id]")).filter((each) => each.getClientRects().length);
    const passed = marks.filter((each) => each.getBoundingClientRect().top <= TOP);
    const near = passed[passed.length - 1];
    const place = {
      path: location.pathname,
      y: scrollY,
      id: near ? near.id : "",
      top: near ? near.getBoundingClientRect().top : 0,
      open: folds().map((each) => each.open),
      focus: document.activeElement ? document.activeElement.id : "",
    };
    sessionStorage.setItem(KEY, JSON.stringify(place));
  }

  function restore() {
    const place = JSON.parse(sessionStorage.getItem(KEY) || "null");
    sessionStorage.removeItem(KEY);
    if (!place || place.path !== location.pathname) return;
    history.scrollRestoration = "manual";
    if (place.open.length === folds().length) folds().forEach((each, index) => (each.open = place.open[index]));
    const scroll = () => {
      const near = place.id && document.getElementById(place.id);
      const top = near ? near.getBoundingClientRect().top + scrollY - place.top : place.y;
      scrollTo({ top, behavior: "instant" });
    };
    const focused = place.focus && document.getElementById(place.focus);
    if (focused) focused.focus({ preventScroll: true });
    scroll();
    addEventListener("load", () => {
      scroll(); // what loaded late has moved the text
      history.scrollRestoration = "auto";
    });
  }

  // --- the bar -------------------------------------------------------------------------------------------------------

  const LOOK = `
    .preview-bar { position: fixed; inset: auto 0 0; z-index: 40; margin: 0; padding: 0.55rem 1.25rem; max-height: 40vh;
      overflow-y: auto; overflow-wrap: anywhere; background: #27303a; color: #fff; text-align: left;
      font: 0.875rem/1.45 system-ui, "DejaVu Sans", sans-serif; }
    .preview-bar[data-mood="failed"] { background: #8d1622; }
    .preview-bar:empty { display: none; }
    @media print { .preview-bar { display: none; } }`;
  const bar = document.createElement("aside");
  bar.className = "preview-bar";
  bar.setAttribute("aria-label", "Preview");
  bar.setAttribute("aria-live", "polite");
  let later = 0;

  function show(mood, says) {
    clearTimeout(later);
    const now = () => {
      bar.dataset.mood = mood;
      bar.textContent = says;
    };
    if (mood !== "building") now();
    else if (bar.dataset.mood !== "failed") later = setTimeout(now, PATIENCE); // else it stands until it is mended
  }

  // --- news ----------------------------------------------------------------------------------------------------------

  function listen() {
    let lost = 0;
    const source = new EventSource("/_preview/events");
    source.addEventListener("message", (event) => {
      clearTimeout(lost);
      lost = 0;
      const news = JSON.parse(event.data);
      const printed = news.printed[own.printing];
      if (printed && printed !== own.mark) {
        source.close();
        remember();
        location.reload();
      } else {
        show(news.mood, news.says);
      }
    });
    source.addEventListener("error", () => {
      lost = lost || setTimeout(() => show("lost", "The preview has ended; to go on: livingpaper preview"), PATIENCE);
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5 * PATIENCE); // refused: browsers give up then
    });
    addEventListener("pagehide", () => source.close());
  }

  function start() {
    const style = document.createElement("style");
    style.textContent = LOOK;
    document.head.append(style);
    document.body.append(bar);
    restore();
    listen();
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  start();
})();
