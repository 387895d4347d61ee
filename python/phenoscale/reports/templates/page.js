"use strict";
// SPDX-License-Identifier: BSD-3-Clause
// What the buttons of a page do.  Without it every plate is there with its first layer, every table
// and picture too; nothing is fetched, nothing is kept.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const $ = (id) => document.getElementById(id);
  const make = (name, words, about = {}) => {
    const node = document.createElement(name);
    if (words) node.textContent = words;
    Object.entries(about).forEach(([key, value]) => node.setAttribute(key, value));
    return node;
  };
  document.documentElement.classList.add("js");
  document.querySelectorAll(".scripted").forEach((node) => { node.hidden = false; });

  const press = (group, chosen) => group.querySelectorAll("button").forEach(
    (one) => one.setAttribute("aria-pressed", String(one === chosen)));

  function viewer() {
    const data = JSON.parse($("plates-data").textContent);
    const figures = [...document.querySelectorAll("figure.plate")];
    const all = figures.map((figure) => ({
      figure, wells: [...figure.querySelectorAll(".wells rect")],
      svg: figure.querySelector("svg"), margins: figure.querySelector(".margins")}));
    let plate = 0, layer = 0, well = -1;

    const colour = (code) => code === "." ? data.unseen
      : data.layers[layer].palette[parseInt(code, 36)];

    function paint() {
      const one = all[plate], isPicture = layer === "pictures";
      figures.forEach((figure, k) => figure.classList.toggle("on", k === plate));
      one.figure.classList.toggle("pictures", isPicture);
      one.figure.classList.toggle("plain", !isPicture && layer !== 0);
      if (!isPicture) one.wells.forEach((rect, k) => rect.setAttribute(
        "fill", colour(data.plates[plate].codes[layer][k])));
      margins(one, isPicture);
      const said = isPicture ? null : data.layers[layer];
      $("layer-said").textContent = said ? said.said
        : "One field of each well; black and white are the same in all of them.";
      $("layer-key").replaceChildren(...(said ? said.key : []).map(([shade, words]) => {
        const item = make("span", "", {class: "keyed"}), dot = make("span", "", {class: "key"});
        dot.style.background = shade;
        item.append(dot, words);
        return item;
      }));
      $("plate-choice").value = String(plate);
    }

    // medians of rows and columns, so that an edge or a slope is seen
    function margins(one, isPicture) {
      one.margins.replaceChildren();
      if (isPicture || !data.layers[layer].scale) return;
      const codes = data.plates[plate].codes[layer], sums = [new Map(), new Map()];
      one.wells.forEach((rect, k) => {
        if (codes[k] === ".") return;
        ["y", "x"].forEach((axis, side) => {
          const at = rect.getAttribute(axis);
          if (!sums[side].has(at)) sums[side].set(at, []);
          sums[side].get(at).push(parseInt(codes[k], 36));
        });
      });
      const first = one.wells[0], box = one.svg.querySelector(".tray");
      const end = {x: +box.getAttribute("x") + +box.getAttribute("width") + 3,
                   y: +box.getAttribute("y") + +box.getAttribute("height") + 3};
      const wide = +first.getAttribute("width"), tall = +first.getAttribute("height");
      sums.forEach((sides, side) => sides.forEach((found, at) => {
        const middle = found.sort((a, b) => a - b)[Math.floor(found.length / 2)];
        const strip = document.createElementNS(SVG, "rect");
        const place = side ? {x: at, y: end.y, width: wide, height: tall / 2}
          : {x: end.x, y: at, width: wide / 2, height: tall};
        Object.entries({...place, fill: data.layers[layer].palette[middle]}).forEach(
          ([key, value]) => strip.setAttribute(key, value));
        one.margins.append(strip);
      }));
    }

    function crop(n, at, words) {
      const rect = all[n].wells[at], figure = make("figure", "", {class: "crop"});
      const box = document.createElementNS(SVG, "svg"), use = document.createElementNS(SVG, "use");
      const [x, y, w, h] = ["x", "y", "width", "height"].map((key) => +rect.getAttribute(key));
      box.setAttribute("viewBox", `${x - 1} ${y - 1} ${w + 2} ${h + 2}`);
      box.setAttribute("role", "img");
      box.setAttribute("aria-label", words);
      use.setAttribute("href", `#sheet-${n}`);
      box.append(use);
      figure.append(box, make("figcaption", words));
      return figure;
    }

    function choose(at, isFocused) {
      const mine = data.plates[plate], rects = all[plate].wells;
      document.querySelectorAll(".wells .chosen").forEach((one) => one.classList.remove("chosen"));
      rects.forEach((rect, k) => rect.setAttribute("tabindex", k === at ? "0" : "-1"));
      well = at;
      $("chosen").dataset.well = mine.wells[at];
      rects[at].classList.add("chosen");
      if (isFocused) rects[at].focus();
      const pictures = make("div", "", {class: "crops"}), facts = make("dl");
      if (data.pictures && $(`sheet-${plate}`)) {
        pictures.append(crop(plate, at, mine.wells[at]));
        const others = mine.controls.filter((k) => k !== at);
        const step = Math.max(1, Math.floor(others.length / 3));
        others.filter((_, k) => k % step === 0).slice(0, 3).forEach((k) => pictures.append(
          crop(plate, k, `${mine.wells[k]} negative control`)));
      }
      data.facts.forEach((name, k) => {
        const value = mine.facts[k][at];
        if (value) facts.append(make("dt", name), make("dd", value));
      });
      $("chosen").replaceChildren(
        make("h3", [mine.name, mine.wells[at]].join(" ") + (mine.treatments[at]
          ? `: ${mine.treatments[at]}` : "")), pictures, facts);
      const link = document.querySelector(`[data-treatment="${CSS.escape(mine.treatments[at])}"]`);
      if (link) {
        const more = make("p"), go = make("a", "its wells beside the controls, field by field");
        go.href = `#${link.id}`;
        go.addEventListener("click", () => { link.open = true; });
        more.append(go);
        $("chosen").append(more);
      }
    }

    function move(event) {
      const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
                    ArrowDown: [0, 1]}[event.key];
      const rects = all[plate].wells, at = rects.indexOf(document.activeElement);
      if (at < 0) return;
      if (event.key === "Enter" || event.key === " ") choose(at, true);
      else if (step) {
        const from = ["x", "y"].map((key) => +rects[at].getAttribute(key));
        let best = -1, least = Infinity;
        rects.forEach((rect, k) => { // the nearest well in that direction
          const way = ["x", "y"].map((key, side) => +rect.getAttribute(key) - from[side]);
          const along = way[0] * step[0] + way[1] * step[1];
          const aside = Math.abs(way[0] * step[1]) + Math.abs(way[1] * step[0]);
          if (along > 0 && along + 3 * aside < least) { least = along + 3 * aside; best = k; }
        });
        if (best >= 0) choose(best, true);
      } else return;
      event.preventDefault();
    }

    function show(n) {
      plate = (n + all.length) % all.length;
      paint();
      all[plate].wells.forEach((rect, k) => {
        rect.setAttribute("tabindex", k ? "-1" : "0");
        rect.setAttribute("role", "button");
        const title = rect.querySelector("title").textContent;
        rect.setAttribute("aria-label", title);
      });
      if (well >= 0) { // the same place of the other plate
        const name = $("chosen").dataset.well, at = data.plates[plate].wells.indexOf(name);
        if (at >= 0) choose(at, false);
      }
    }

    all.forEach((one) => one.svg.addEventListener("click", (event) => {
      const at = one.wells.indexOf(event.target.closest(".wells rect"));
      if (at >= 0) choose(at, true);
    }));
    document.querySelectorAll("#viewer .shown").forEach((one) => one.addEventListener(
      "keydown", move));
    $("layer-buttons").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      layer = button.dataset.layer === "pictures" ? "pictures" : +button.dataset.layer;
      press($("layer-buttons"), button);
      paint();
    });
    $("plate-choice").addEventListener("change", (event) => show(+event.target.value));
    $("plate-before").addEventListener("click", () => show(plate - 1));
    $("plate-after").addEventListener("click", () => show(plate + 1));
    show(0);
  }

  // points of a map, coloured by what a button says
  function map() {
    const data = JSON.parse($("map-data").textContent);
    const points = [...document.querySelectorAll("#map-picture .point")];
    const paint = (kind) => {
      const by = data.colours[kind];
      points.forEach((point, k) => point.setAttribute("fill", by.palette[by.codes[k]]));
      $("map-key").replaceChildren(...by.key.map(([shade, words]) => {
        const item = make("span", "", {class: "keyed"}), dot = make("span", "", {class: "key"});
        dot.style.background = shade;
        item.append(dot, words);
        return item;
      }));
    };
    $("map-colours").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      press($("map-colours"), button);
      paint(button.dataset.kind);
    });
    $("map-places").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      press($("map-places"), button);
      data.places[button.dataset.kind].forEach(([x, y], k) => {
        points[k].setAttribute("cx", x);
        points[k].setAttribute("cy", y);
      });
    });
  }

  if ($("plates-data")) viewer();
  if ($("map-data")) map();
  // a link into what is folded opens it, and so does printing
  const open = () => {
    const target = location.hash && $(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  window.addEventListener("hashchange", open);
  open();
})();
