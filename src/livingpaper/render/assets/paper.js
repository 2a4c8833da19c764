// The reader's comforts: search, theme, menu, zoom, copy, anchors, sortable tables. Everything else works without.
(function () {
  "use strict";
  const root = document.documentElement;
  const up = document.body.dataset.up;
  const all = (selector, within) => Array.from((within || document).querySelectorAll(selector));
  const make = (tag, attributes, text) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const button = (action) => document.querySelector(`[data-action="${action}"]`);

  // --- theme ---------------------------------------------------------------------------------------------------------

  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

  function theme() {
    const toggle = button("theme");
    const show = () => toggle.setAttribute("aria-pressed", String(dark()));
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try {
        localStorage.setItem("theme", root.dataset.theme);
      } catch (error) {
        // storage is switched off: the choice lasts as long as the page
      }
      show();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    show();
  }

  // --- menu on narrow screens ----------------------------------------------------------------------------------------

  function menu() {
    const toggle = button("menu");
    const sidebar = document.getElementById("sidebar");
    const set = (open) => {
      toggle.setAttribute("aria-expanded", String(open));
      root.classList.toggle("menu-open", open);
    };
    toggle.hidden = false;
    toggle.addEventListener("click", () => set(toggle.getAttribute("aria-expanded") !== "true"));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && root.classList.contains("menu-open")) {
        set(false);
        toggle.focus();
      }
    });
    const current = sidebar.querySelector('[aria-current="page"]');
    if (current && sidebar.scrollHeight > sidebar.clientHeight) {
      sidebar.scrollTop = current.offsetTop - sidebar.clientHeight / 3;
    }
  }

  // --- search --------------------------------------------------------------------------------------------------------

  function search() {
    const dialog = document.querySelector("dialog.search");
    const input = dialog.querySelector("input");
    const state = dialog.querySelector(".search-state");
    const list = dialog.querySelector(".search-results");
    const opener = button("search");
    let engine = null;
    let asked = 0;

    const load = () => {
      engine = engine || import(new URL(up + "pagefind/pagefind.js", document.baseURI).href);
      return engine;
    };
    const open = () => {
      if (dialog.open) return;
      dialog.showModal();
      input.select();
      load().catch(() => {
        state.textContent = "Search needs the page to be served: run make serve.";
      });
    };
    const entry = (found) => {
      const item = make("li");
      const link = make("a", { href: found.url });
      link.append(make("b", {}, found.title));
      const excerpt = make("span", { class: "search-excerpt" });
      // Pagefind marks the words found with <mark> in text it has escaped
      const parsed = new DOMParser().parseFromString(found.excerpt, "text/html");
      for (const node of Array.from(parsed.body.childNodes)) {
        excerpt.append(node.nodeName === "MARK" ? make("mark", {}, node.textContent) : node.textContent);
      }
      link.append(excerpt);
      item.append(link);
      return item;
    };
    const matches = (page) => {
      const parts = (page.sub_results || []).slice(0, 3).map((part) => ({
        url: part.url,
        title: part.title === page.meta.title ? page.meta.title : `${page.meta.title} · ${part.title}`,
        excerpt: part.excerpt,
      }));
      return parts.length ? parts : [{ url: page.url, title: page.meta.title, excerpt: page.excerpt }];
    };
    /** Pages with the very phrase come before those that have its words here and there. */
    const results = async (pagefind, words) => {
      const phrase = /^[^"]+\s[^"]+$/.test(words) ? (await pagefind.search(`"${words}"`)).results : [];
      const first = new Set(phrase.map((result) => result.id));
      return [...phrase, ...(await pagefind.search(words)).results.filter((result) => !first.has(result.id))];
    };
    const ask = async () => {
      const words = input.value.trim();
      const turn = ++asked;
      if (!words) {
        list.replaceChildren();
        state.textContent = "";
        return;
      }
      const found = await results(await load(), words);
      const pages = await Promise.all(found.slice(0, 8).map((result) => result.data()));
      if (turn !== asked) return;
      list.replaceChildren(...pages.flatMap(matches).map(entry));
      const count = found.length;
      state.textContent = count ? `${count} ${count === 1 ? "page" : "pages"}` : "Nothing found";
    };

    opener.hidden = false;
    opener.addEventListener("click", open);
    input.addEventListener("input", () => ask().catch(() => {}));
    input.addEventListener("keydown", (event) => {
      const first = list.querySelector("a");
      if (event.key === "Escape") {
        event.preventDefault(); // a search field would only clear itself
        dialog.close();
      } else if (event.key === "Enter") {
        event.preventDefault();
        if (first) first.click();
      } else if (event.key === "ArrowDown" && first) {
        event.preventDefault();
        first.focus();
      }
    });
    list.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const links = all("a", list);
      const next = links[links.indexOf(document.activeElement) + step];
      (next || (step < 0 ? input : links[links.length - 1])).focus();
    });
    list.addEventListener("click", () => dialog.close());
    document.addEventListener("keydown", (event) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      const shortcut = (event.key === "/" && !typing) || (event.key === "k" && (event.ctrlKey || event.metaKey));
      if (shortcut && !document.querySelector("dialog[open]")) {
        event.preventDefault();
        open();
      }
    });
  }

  // --- figures -------------------------------------------------------------------------------------------------------

  function zoom() {
    const dialog = document.querySelector("dialog.zoom");
    const place = dialog.querySelector(".zoom-image");
    const words = dialog.querySelector(".zoom-caption");
    all("figure.float-fig").forEach((figure) => {
      const label = (figure.querySelector(".float-label") || { textContent: "figure" }).textContent.replace(/\.$/, "");
      all("img", figure).forEach((image) => {
        const frame = make("span", { class: "figure-frame" });
        const opener = make("button", { type: "button", class: "enlarge", "aria-label": `Enlarge ${label}` }, "⤢");
        const open = () => {
          const large = make("img", { src: image.src, alt: image.alt });
          const caption = figure.querySelector("figcaption");
          place.replaceChildren(large);
          words.textContent = caption ? caption.textContent : "";
          dialog.setAttribute("aria-label", label);
          dialog.showModal();
          // what does not fit can be moved with the arrow keys too
          if (place.scrollWidth > place.clientWidth) place.setAttribute("tabindex", "0");
          else place.removeAttribute("tabindex");
        };
        image.replaceWith(frame);
        frame.append(image, opener);
        image.addEventListener("click", open);
        opener.addEventListener("click", open);
      });
    });
    all("dialog").forEach((each) =>
      each.addEventListener("click", (event) => {
        if (event.target === each) each.close(); // the backdrop
      }),
    );
  }

  // --- code, headings, tables ----------------------------------------------------------------------------------------

  function copy() {
    all("article pre").forEach((block) => {
      if (block.closest(".cell-output-error")) return;
      const frame = block.closest(".sourceCode") || block;
      if (frame.parentElement.classList.contains("copyable")) return;
      const holder = make("div", { class: "copyable" });
      const press = make("button", { type: "button", class: "copy", "aria-label": "Copy to the clipboard" }, "Copy");
      frame.replaceWith(holder);
      holder.append(frame, press);
      press.addEventListener("click", async () => {
        await navigator.clipboard.writeText(block.textContent.replace(/\n$/, ""));
        press.textContent = "Copied";
        setTimeout(() => (press.textContent = "Copy"), 1500);
      });
    });
  }

  function anchors() {
    all("article :is(h2, h3, h4)[id]").forEach((heading) => {
      const link = make("a", { class: "anchor", href: `#${heading.id}`, "aria-label": `Link to: ${heading.textContent}` }, "#");
      heading.append(link);
    });
  }

  /** Tables and code that are wider than the page can be scrolled with the keyboard. */
  function scrollable() {
    const boxes = all(".table-scroll, article pre, article math[display=block], .equation");
    const check = () =>
      boxes.forEach((box) => {
        if (box.scrollWidth > box.clientWidth + 1) box.setAttribute("tabindex", "0");
        else box.removeAttribute("tabindex");
      });
    check();
    addEventListener("resize", check);
    all("details").forEach((details) => details.addEventListener("toggle", check));
  }

  /** A table in a div of class `sortable`, and the claims ledger, sort by a click on its heading; numbers as numbers. */
  function sortable() {
    all(".sortable table, .claims-ledger table").forEach((table) => {
      const body = table.tBodies[0];
      all("thead th", table).forEach((cell, column) => {
        const press = make("button", { type: "button", class: "sort" });
        press.append(...Array.from(cell.childNodes));
        cell.append(press);
        press.addEventListener("click", () => {
          const down = cell.getAttribute("aria-sort") === "ascending";
          all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
          cell.setAttribute("aria-sort", down ? "descending" : "ascending");
          const key = (row) => row.cells[column].textContent.trim();
          const compare = (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true });
          body.append(...Array.from(body.rows).sort((a, b) => (down ? compare(b, a) : compare(a, b))));
        });
      });
    });
  }

  /** Marks in the page's contents where the reader is. */
  function follow() {
    const links = new Map(all(".toc a").map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
    const headings = all("article :is(h2, h3, h4)[id]").filter((heading) => links.has(heading.id));
    if (!headings.length) return;
    const mark = () => {
      const passed = headings.filter((heading) => heading.getBoundingClientRect().top < 140);
      const here = (passed[passed.length - 1] || headings[0]).id;
      links.forEach((link, id) => {
        if (id === here) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      });
    };
    let waiting = false;
    addEventListener("scroll", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        mark();
      });
    });
    mark();
  }

  [theme, menu, search, zoom, copy, anchors, sortable, scrollable, follow].forEach((start) => start());
})();
