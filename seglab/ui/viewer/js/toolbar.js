// Mode, opacity, layout and zoom buttons: built once, shown after each change.

import { h, icon, percent, setText } from "./dom.js"
import { PHOTO } from "./state.js"
import { MAX_ZOOM } from "./zoom.js"

export const MODES = [
  ["overlay", "Overlay", "Classes in colour over the photo"],
  ["mask", "Mask", "Classes only"],
  ["photo", "Photo", "The photo as it is"],
  ["edges", "Edges", "Borders of the classes over the photo"],
  ["confidence", "Confidence", "Classes, dimmed where the model is unsure"],
]

export const toolbar = {
  build() {
    this.modes = this.radios("Show", "viewer-mode", MODES, (mode) => this.change({ mode }))
    this.layouts = this.radios(
      "Layout",
      "viewer-layout",
      [
        ["grid", "Grid", "All models side by side"],
        ["swipe", "Swipe", "Two pictures under one divider"],
      ],
      (layout) => this.change({ layout }),
    )
    this.opacity = h("input", {
      type: "range",
      min: 0,
      max: 100,
      step: 1,
      "data-testid": "viewer-opacity",
      oninput: (event) => this.change({ opacity: Number(event.target.value) }),
    })
    this.opacityText = h("output", {})
    this.opacityBox = h("label", { class: "opacity" }, h("span", {}, "Opacity"), this.opacity, this.opacityText)
    this.scale = h(
      "div",
      { class: "scale", role: "img", "aria-label": "Brightness: dark grey is unsure, bright is sure" },
      h("span", {}, "unsure"),
      h("i", {}),
      h("span", {}, "sure"),
    )
    this.zoomText = h("output", { class: "zoom-text", "data-testid": "viewer-zoom" })
    const zoomButton = (name, label, sign, onclick) => {
      const props = { "data-testid": `viewer-zoom-${name}`, "aria-label": label, title: label, onclick }
      return h("button", { type: "button", class: "icon", ...props }, sign)
    }
    this.zoomOut = zoomButton("out", "Zoom out", icon("minus"), () => this.zoomAt(1 / 1.5))
    this.zoomIn = zoomButton("in", "Zoom in", icon("plus"), () => this.zoomAt(1.5))
    this.zoomReset = zoomButton("reset", "Show the whole photo", icon("whole"), () => this.zoomAt(0))
    const zoomParts = [this.zoomOut, this.zoomText, this.zoomIn, this.zoomReset]
    const zoom = h("div", { class: "zoom", role: "group", "aria-label": "Zoom" }, ...zoomParts)

    this.legend = h("div", { class: "chips" })
    const text = (name, onclick, props) =>
      h("button", { type: "button", class: "text", "data-testid": `viewer-legend-${name}`, onclick, ...props }, name)
    this.more = text("more", () => this.fold(!this.more.matches('[aria-expanded="true"]')), { class: "text more" })
    const all = text("all", () => this.hideAll(false), { "aria-label": "Show all classes" })
    const none = text("none", () => this.hideAll(true), { "aria-label": "Hide all classes" })
    const actions = h("span", { class: "all-none" }, all, none, this.more)
    this.legendBox = h("div", { class: "legend", role: "group", "aria-label": "Classes" }, this.legend, actions)
    this.grid = h("div", { class: "grid", "data-testid": "viewer-grid" })
    this.swipe = this.buildSwipe()
    this.stageArea = h("div", { class: "stages" }, this.grid, this.swipe.box)
    this.status = h("div", { class: "status", "data-testid": "viewer-status" })
    this.live = h("div", { class: "sr-only", "aria-live": "polite", "data-testid": "viewer-live" })
    const gap = h("span", { class: "gap" })
    const controls = [this.modes.box, this.opacityBox, this.scale, gap, this.layouts.box, zoom]
    const toolbar = h("div", { class: "toolbar", role: "group", "aria-label": "View" }, ...controls)
    this.root.replaceChildren(toolbar, this.legendBox, this.stageArea, this.status, this.live)
  },

  radios(label, testid, choices, choose) {
    const inputs = {}
    const box = h("div", { class: "segments", role: "radiogroup", "aria-label": label })
    for (const [value, text, title] of choices) {
      const onchange = () => choose(value)
      inputs[value] = h("input", { type: "radio", name: testid, value, "data-testid": `${testid}-${value}`, onchange })
      box.append(h("label", { title }, inputs[value], h("span", {}, text)))
    }
    return { box, inputs }
  },

  showControls() {
    const { mode, opacity, layout, hidden } = this.view
    this.modes.inputs[mode].checked = true
    this.layouts.inputs[layout].checked = true
    if (Number(this.opacity.value) !== opacity) this.opacity.value = opacity
    this.opacity.style.setProperty("--fill", `${opacity}%`)
    this.opacity.disabled = mode !== "overlay"
    this.opacityBox.hidden = mode === "confidence"
    this.scale.hidden = mode !== "confidence"
    setText(this.opacityText, `${opacity} %`)
    const off = new Set(hidden)
    for (const [id, chip] of this.chips ?? []) chip.setAttribute("aria-pressed", String(!off.has(id)))
    this.legendBox.hidden = !this.chips
    Object.assign(this.root.dataset, { opacity, mode, layout, zoom: this.lens.zoom.toFixed(2) })
    this.root.toggleAttribute("data-zoomed", this.lens.zoom > 1)
    setText(this.zoomText, percent(this.lens.zoom))
    this.zoomOut.disabled = this.zoomReset.disabled = this.lens.zoom <= 1
    this.zoomIn.disabled = this.lens.zoom >= MAX_ZOOM
    this.grid.hidden = layout !== "grid"
    this.swipe.box.hidden = layout !== "swipe"
    if (layout !== "swipe" || !this.data) return
    const pair = this.pair()
    const titles = pair.map((key) => this.titleOf(key))
    this.swipe.selects.forEach((select, i) => (select.value = pair[i]))
    this.swipe.stage.style.setProperty("--split", `${this.split * 100}%`)
    const alt = (key) => (key === PHOTO ? this.data.photo.alt : this.ready(key)?.alt)
    this.swipe.canvas.setAttribute("aria-label", `Left: ${alt(pair[0])}. Right: ${alt(pair[1])}.`)
    const now = Math.round(this.split * 100)
    this.swipe.divider.setAttribute("aria-label", `Divider between ${titles.join(" and ")}`)
    this.swipe.divider.setAttribute("aria-valuenow", now)
    this.swipe.divider.setAttribute("aria-valuetext", `${now} % ${titles[0]}, ${100 - now} % ${titles[1]}`)
  },
}
