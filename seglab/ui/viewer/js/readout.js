// Crosshair and what the models say there, for the eye and for screen readers.

import { percent, rgb, setText } from "./dom.js"

export const readout = {
  point(pixel) {
    if (!this.data || String(pixel) === String(this.hover)) return
    this.hover = pixel
    this.showCross()
  },

  read(key, [x, y]) {
    const panel = this.ready(key)
    if (!panel) return null
    const i = y * this.data.width + x
    const known = this.data.classes[panel.labels[i]]
    const name = known?.name ?? "void"
    const text = panel.confidence ? `${name} ${percent(panel.confidence[i] / 255)}` : name
    return { name, text, colour: known?.colour ?? [128, 128, 128] }
  },

  showCross() {
    if (!this.data) return
    const pixel = this.hover ?? this.pin
    const [fx, fy] = pixel ? this.place(pixel) : [-1, -1]
    const seen = fx >= 0 && fx <= 1 && fy >= 0 && fy <= 1
    for (const { cross } of [...this.tiles.values(), this.swipe]) {
      cross.hidden = !seen
      cross.classList.toggle("pinned", !this.hover)
      cross.style.setProperty("--x", `${fx * 100}%`)
      cross.style.setProperty("--y", `${fy * 100}%`)
    }
    const show = (element, key) => {
      const found = pixel && this.read(key, pixel)
      element.hidden = !found
      if (!found) return
      element.style.setProperty("--swatch", rgb(found.colour))
      setText(element, found.text)
    }
    for (const [key, tile] of this.tiles) show(tile.readout, key)
    this.pair().forEach((key, i) => show(this.swipe.readouts[i], key))
    this.showStatus(pixel)
  },

  showStatus(pixel) {
    if (!pixel) {
      const touch = matchMedia("(pointer: coarse)").matches
      const mouse = "Click a pixel to pin it · Ctrl + scroll or double-click to zoom · drag to move"
      setText(this.status, touch ? "Tap a pixel to read it · pinch to zoom" : mouse)
      return
    }
    setText(this.status, [this.coordinates(pixel), this.agreement(pixel)].filter(Boolean).join(" · "))
  },

  // In pixels of the photo that Python was given, whatever size it is shown at.
  coordinates([x, y]) {
    const { full, width, height } = this.data
    return `x ${Math.floor(((x + 0.5) * full[0]) / width)}, y ${Math.floor(((y + 0.5) * full[1]) / height)}`
  },

  agreement(pixel) {
    const names = this.panels.map((panel) => this.read(panel.key, pixel)?.name).filter(Boolean)
    if (names.length < 2) return ""
    const votes = (name) => names.filter((other) => other === name).length
    const ranked = [...new Set(names)].sort((a, b) => votes(b) - votes(a))
    if (ranked.length === 1) return `${names.length === 2 ? "both" : `all ${names.length}`} models say ${ranked[0]}`
    if (votes(ranked[0]) > votes(ranked[1])) return `${votes(ranked[0])} of ${names.length} models say ${ranked[0]}`
    return `the models are split: ${ranked.join(", ")}`
  },

  announce() {
    clearTimeout(this.speech)
    this.speech = setTimeout(() => {
      if (!this.pin) return
      const swipe = this.view.layout === "swipe"
      const keys = swipe ? this.pair() : this.panels.map((panel) => panel.key)
      const said = keys.map((key) => [this.titleOf(key), this.read(key, this.pin)]).filter(([, found]) => found)
      const parts = said.map(([title, found]) => `${title} ${found.text}`)
      setText(this.live, `${this.coordinates(this.pin)}: ${parts.join("; ")}`)
    }, 200)
  },
}
