(() => {
  "use strict";
  const tiles = [...document.querySelectorAll(".tile")];
  const viewer = document.querySelector(".viewer");
  if (!tiles.length || !viewer.showModal) return;
  const part = (name) => viewer.querySelector(name);
  const frame = part(".frame"), after = part(".after"), before = part(".before"), range = part(".range");
  const compare = part(".compare"), info = part(".info"), panel = part(".panel"), label = part(".where .label");
  let current = -1, pushed = false;

  const picture = (tile) => tile.querySelector("img");
  const address = (index) => "#" + tiles[index].id;
  const remember = (method, index) => {
    try { history[method]({ photo: index }, "", index < 0 ? location.pathname + location.search : address(index)); } catch { /* some viewers forbid it */ }
  };

  function moveDivider(percent) {
    const at = Math.min(100, Math.max(0, percent));
    range.value = String(Math.round(at));
    range.setAttribute("aria-valuetext", Math.round(at) + " % " + part(".side.left").textContent);
    frame.style.setProperty("--at", at + "%");
  }

  function setComparing(on) {
    const data = tiles[current].dataset;
    frame.classList.toggle("comparing", on);
    compare.setAttribute("aria-pressed", String(on));
    if (!on) return;
    before.src = data.before;
    part(".side.left").textContent = data.beforeLabel;
    part(".side.right").textContent = data.afterLabel;
    moveDivider(50);
  }

  function show(index) {
    current = (index + tiles.length) % tiles.length;
    const tile = tiles[current], shown = picture(tile);
    frame.style.setProperty("--aspect", shown.getAttribute("width") / shown.getAttribute("height"));
    after.removeAttribute("srcset");
    after.sizes = "100vw";
    if (shown.srcset) after.srcset = shown.srcset;
    after.src = shown.getAttribute("src");
    after.alt = shown.alt;
    frame.classList.remove("turned");
    void frame.offsetWidth;
    frame.classList.add("turned");
    part(".count").textContent = current + 1 + " / " + tiles.length;
    part(".name").textContent = tile.dataset.caption;
    label.textContent = tile.dataset.label;
    label.hidden = !tile.dataset.label;
    label.classList.toggle("altered", Boolean(tile.querySelector(".label.altered")));
    compare.hidden = !tile.dataset.before;
    before.removeAttribute("src");
    setComparing(false);
    panel.replaceChildren(...[...tile.querySelector(".facts").children].map((fact) => fact.cloneNode(true)));
    for (const near of [current + 1, current - 1]) {
      const next = picture(tiles[(near + tiles.length) % tiles.length]);
      const ahead = new Image();
      ahead.sizes = "100vw";
      if (next.srcset) ahead.srcset = next.srcset;
      ahead.src = next.getAttribute("src");
    }
  }

  function open(index, withHistory) {
    if (!viewer.open) {
      viewer.showModal();
      document.documentElement.style.overflow = "hidden";
    }
    show(index);
    pushed = pushed || withHistory;
    if (withHistory) remember("pushState", current);
  }

  function turn(step) {
    show(current + step);
    remember("replaceState", current);
  }

  function shut() {
    if (!viewer.open) return;
    viewer.close();
    document.documentElement.style.overflow = "";
    tiles[current].querySelector(".open").focus({ preventScroll: true });
    tiles[current].scrollIntoView({ block: "nearest" });
  }

  function leave() {
    if (pushed) history.back();
    else { shut(); remember("replaceState", -1); }
  }

  tiles.forEach((tile, index) => tile.querySelector(".open").addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    open(index, true);
  }));
  addEventListener("popstate", () => {
    const index = tiles.findIndex((tile) => "#" + tile.id === location.hash);
    if (index < 0 || !history.state) { pushed = false; shut(); } else open(index, false);
  });
  viewer.addEventListener("cancel", (event) => { event.preventDefault(); leave(); });
  part(".close").addEventListener("click", leave);
  part(".previous").addEventListener("click", () => turn(-1));
  part(".next").addEventListener("click", () => turn(1));
  compare.addEventListener("click", () => {
    const on = !frame.classList.contains("comparing");
    setComparing(on);
    if (on) range.focus({ preventScroll: true });
  });
  info.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    info.setAttribute("aria-expanded", String(!panel.hidden));
  });
  range.addEventListener("input", () => moveDivider(Number(range.value)));
  viewer.addEventListener("keydown", (event) => {
    if (event.target === range && frame.classList.contains("comparing") && event.key.startsWith("Arrow")) return;
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -1, PageDown: 1, Home: -current, End: tiles.length - 1 - current };
    if (event.key in steps) { event.preventDefault(); turn(steps[event.key]); }
    if (event.key === "c" && !compare.hidden) compare.click();
    if (event.key === "i") info.click();
  });

  let from = null;
  const stage = part(".stage");
  const divide = (event) => {
    const box = frame.getBoundingClientRect();
    moveDivider(((event.clientX - box.left) / box.width) * 100);
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    if (!event.isPrimary) { from = null; return; }
    from = { x: event.clientX, y: event.clientY };
    if (frame.classList.contains("comparing")) { stage.setPointerCapture(event.pointerId); divide(event); }
  });
  stage.addEventListener("pointermove", (event) => {
    if (from && frame.classList.contains("comparing")) divide(event);
  });
  stage.addEventListener("pointerup", (event) => {
    if (!from) return;
    const across = event.clientX - from.x, down = event.clientY - from.y;
    from = null;
    if (frame.classList.contains("comparing")) return;
    if (Math.abs(across) > 40 && Math.abs(across) > 1.5 * Math.abs(down)) turn(across < 0 ? 1 : -1);
  });
  stage.addEventListener("pointercancel", () => { from = null; });

  addEventListener("beforeprint", () => {
    document.querySelectorAll("img[loading]").forEach((image) => { image.loading = "eager"; });
    document.querySelectorAll("details").forEach((more) => { more.open = true; });
  });

  const linked = tiles.findIndex((tile) => "#" + tile.id === location.hash);
  if (linked >= 0) open(linked, false);
})();
