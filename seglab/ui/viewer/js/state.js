// The viewer's state: what it was given, what the reader has chosen, and what it tells Python once they rest.
// The other files add what is done with it.

import { decodePanel, decodePhoto } from "./decode.js"
import { h } from "./dom.js"

export const PHOTO = "photo"
export const SETTLE_MS = 500
export const TOO_OLD =
  "This browser is too old for the viewer: it cannot unpack compressed data (DecompressionStream). " +
  "Chrome or Edge 80, Firefox 113, Safari 16.4 and anything newer can."

export const viewers = new WeakMap() // root element -> Viewer

export class Viewer {
  constructor(root, previous) {
    this.root = root
    this.view = { mode: "overlay", opacity: 55, hidden: [], swipe: [], layout: "grid" }
    this.lens = { zoom: 1, x: 0, y: 0 } // x, y: left and top edge of what is seen, as fractions of the photo
    this.pin = null // [x, y] in pixels of the display size
    this.hover = null
    this.highlight = null // a class id
    this.split = 0.5
    this.received = null
    this.load = 0
    this.tiles = new Map() // panel key -> its elements
    this.layers = new Map() // panel key -> { canvas, made }
    this.pointers = new Map()
    this.previous = previous
    this.build()
    this.resized = new ResizeObserver(() => this.redraw())
    this.resized.observe(root)
    this.onWindow = () => this.redraw()
    window.addEventListener("resize", this.onWindow)
  }

  receive(data) {
    if (typeof DecompressionStream === "undefined") {
      this.root.replaceChildren(h("p", { class: "fatal", role: "alert", "data-testid": "viewer-error" }, TOO_OLD))
      return
    }
    this.follow(data)
    if (!this.data) this.showLoading(data)
    const load = ++this.load
    const decoded = data.panels.map((panel) => decodePanel(panel, data.width, data.height))
    Promise.all([decodePhoto(data.photo, data.width, data.height), ...decoded]).then(
      ([photo, ...panels]) => load === this.load && this.commit(data, photo, panels),
      () => load === this.load && this.fail("The photo could not be shown: the browser could not decode it."),
    )
  }

  // Python repeats the view that it opened with, so only a new one counts. Where Streamlit rebuilt our element,
  // go on where the old one stood.
  follow({ view, turn }) {
    const wanted = JSON.stringify([turn, view])
    if (this.previous?.received === wanted && !this.previous.root.isConnected) this.inherit(this.previous)
    this.previous = null
    if (wanted === this.received) return
    this.received = wanted
    Object.assign(this.view, JSON.parse(JSON.stringify(view)))
    this.sent = JSON.stringify(this.view)
  }

  // Everything new appears in one step, so that no frame pairs a new photo with an old mask.
  commit(data, photo, panels) {
    const names = JSON.stringify(data.classes.map((known) => known.name))
    if (this.names && this.names !== names && this.view.hidden.length) {
      this.view.hidden = [] // the ids stood for other classes
      this.settle()
    }
    this.names = names
    this.data = data
    this.photo = photo
    this.panels = panels
    this.hasConfidence = panels.some((panel) => panel.confidence)
    this.root.style.setProperty("--ratio", `${data.width} / ${data.height}`)
    this.classHash = JSON.stringify(data.classes)
    if (this.pin && (this.pin[0] >= data.width || this.pin[1] >= data.height)) this.pin = null
    for (const key of this.layers.keys()) if (!panels.some((panel) => panel.key === key)) this.layers.delete(key)
    if (!this.grid.isConnected) this.stageArea.replaceChildren(this.grid, this.swipe.box)
    this.showPanels()
    this.showLegend()
    this.showSwipeChoices()
    this.showControls()
    this.redraw()
  }

  fail(message) {
    this.stageArea.replaceChildren(h("p", { class: "fatal", role: "alert", "data-testid": "viewer-error" }, message))
  }

  showLoading(data) {
    this.root.style.setProperty("--ratio", `${data.width} / ${data.height}`)
    this.panels = data.panels.map((panel) => ({
      ...panel,
      labels: null,
      status: panel.status === "ready" ? "waiting" : panel.status,
      message: panel.status === "ready" ? "Unpacking the result …" : panel.message,
    }))
    this.data = { ...data, classes: [] }
    this.showPanels()
    this.showControls()
    this.data = null
  }

  // Tell Python once the reader has come to rest.
  settle() {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      const now = JSON.stringify(this.view)
      if (now === this.sent) return
      this.sent = now
      this.send(JSON.parse(now))
    }, SETTLE_MS)
  }

  change(part) {
    Object.assign(this.view, part)
    this.showControls()
    this.redraw()
    this.settle()
  }

  inherit({ view, lens, pin, split, received, sent }) {
    Object.assign(this, { view: { ...view }, lens: { ...lens }, pin, split, received, sent })
    this.settle()
  }

  dispose() {
    clearTimeout(this.timer)
    cancelAnimationFrame(this.frame)
    this.resized.disconnect()
    window.removeEventListener("resize", this.onWindow)
    viewers.delete(this.root)
    this.load++
    this.photo = this.previous = null
    this.panels = []
    this.layers.clear()
  }

  ready(key) {
    return this.panels?.find((panel) => panel.key === key && panel.labels)
  }

  // The two keys that the swipe shows; a wish that cannot be met (yet) gives way to what there is.
  pair() {
    const choices = this.panels.filter((panel) => panel.labels).map((panel) => panel.key)
    const all = [PHOTO, ...choices]
    const [a, b] = this.view.swipe
    if (all.includes(a) && all.includes(b) && a !== b) return [a, b]
    return choices.length > 1 ? choices.slice(0, 2) : [PHOTO, choices[0] ?? PHOTO]
  }

  titleOf(key) {
    return key === PHOTO ? "Photo" : (this.panels.find((panel) => panel.key === key)?.title ?? key)
  }
}
