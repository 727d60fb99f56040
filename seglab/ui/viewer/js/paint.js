// Photo and coloured layers onto canvases, through one transform.

import { colourTable, fillConfidence, fillEdges, fillMask } from "./colours.js"
import { newCanvas, setText } from "./dom.js"

export const BACKDROP = "#14161a"

export const paint = {
  redraw() {
    if (this.frame) return
    this.frame = requestAnimationFrame(() => {
      this.frame = 0
      if (this.photo) this.paint()
    })
  },

  paint() {
    const swipe = this.view.layout === "swipe"
    const jobs = swipe
      ? [{ parts: this.swipe, keys: this.pair() }]
      : this.panels.filter((panel) => panel.labels).map(({ key }) => ({ parts: this.tiles.get(key), keys: [key] }))
    for (const job of jobs) job.rect = job.parts.stage.getBoundingClientRect()
    for (const { parts, keys, rect } of jobs) {
      if (!rect.width) continue
      const width = Math.round(rect.width * devicePixelRatio)
      const height = Math.round(rect.height * devicePixelRatio)
      const { canvas } = parts
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
      const context = canvas.getContext("2d")
      const cut = keys.length > 1 ? Math.round(this.split * width) : width
      this.paintOne(context, keys[0], 0, cut, width, height)
      if (keys.length > 1) this.paintOne(context, keys[1], cut, width, width, height)
      const unknown = this.view.mode === "confidence" && keys.some((k) => this.ready(k) && !this.ready(k).confidence)
      parts.badge.hidden = !unknown
      if (unknown) setText(parts.badge, `Confidence unknown${keys.length > 1 ? " for one side" : ""}`)
      parts.box.dataset.ready = "true"
    }
    this.showCross()
  },

  // Paint one picture between two columns of a canvas: photo and mask have one size and go through one transform.
  paintOne(context, key, from, to, width, height) {
    const panel = this.ready(key)
    const mode = panel ? this.view.mode : "photo"
    const { zoom, x, y } = this.lens
    const scale = (width * zoom) / this.data.width
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.save()
    context.beginPath()
    context.rect(from, 0, to - from, height)
    context.clip()
    context.fillStyle = BACKDROP
    context.fillRect(from, 0, to - from, height)
    context.setTransform(scale, 0, 0, (height * zoom) / this.data.height, -x * zoom * width, -y * zoom * height)
    context.imageSmoothingQuality = scale < 0.45 ? "medium" : "low" // low is a good average down to about a half
    if (mode !== "mask" && mode !== "confidence") {
      context.imageSmoothingEnabled = scale < 4
      context.globalAlpha = mode === "edges" ? 0.6 : 1
      context.drawImage(this.photo, 0, 0)
    }
    if (mode !== "photo") {
      context.imageSmoothingEnabled = scale < 1 // whole pixels as soon as one of them covers one of the screen's
      context.globalAlpha = mode === "overlay" ? this.view.opacity / 100 : 1
      context.drawImage(this.layer(panel, mode), 0, 0)
    }
    context.restore()
  },

  // The coloured layer of a panel, made again only when something other than opacity or zoom has changed.
  layer(panel, mode) {
    const kind = mode === "overlay" || (mode === "confidence" && !panel.confidence) ? "mask" : mode
    const hidden = new Set(this.view.hidden)
    const made = [kind, this.view.hidden, this.highlight, panel.hash, this.classHash].join("|")
    const { width, height } = this.data
    let layer = this.layers.get(panel.key)
    if (layer?.made === made) return layer.canvas
    if (layer?.canvas.width !== width || layer?.canvas.height !== height) {
      layer = { canvas: newCanvas(width, height) }
      this.layers.set(panel.key, layer)
    }
    const image = new ImageData(width, height)
    const words = new Uint32Array(image.data.buffer)
    const table = colourTable(this.data.classes, hidden, this.highlight, kind !== "mask")
    if (kind === "mask") fillMask(words, panel, table)
    else if (kind === "edges") fillEdges(words, panel, table, width, height)
    else fillConfidence(words, panel, table)
    layer.canvas.getContext("2d").putImageData(image, 0, 0)
    layer.made = made
    return layer.canvas
  },
}
