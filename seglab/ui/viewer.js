// The segmentation viewer: decodes what viewer.py packed, paints it, and answers every control without the server.
// One Viewer lives per mounted component; Streamlit calls the default export again whenever its data or theme changes.

const MODES = [
  ["overlay", "Overlay", "Classes in colour over the photo"],
  ["mask", "Mask", "Classes only"],
  ["photo", "Photo", "The photo as it is"],
  ["edges", "Edges", "Borders of the classes over the photo"],
  ["confidence", "Confidence", "Classes, dimmed where the model is unsure"],
]
const PHOTO = "photo"
const VOID = 255
const MAX_ZOOM = 16
const SETTLE_MS = 500
const CACHE_ENTRIES = 32
const BACKDROP = "#14161a"
const UNSURE = 38 // grey level of a pixel in which the model has no confidence
const ICONS = {
  minus: "M3.5 8h9",
  plus: "M3.5 8h9M8 3.5v9",
  whole: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  grip: "M6 4.5 2.5 8 6 11.5M10 4.5 13.5 8 10 11.5",
}
const TOO_OLD =
  "This browser is too old for the viewer: it cannot unpack compressed data (DecompressionStream). " +
  "Chrome or Edge 80, Firefox 113, Safari 16.4 and anything newer can."

const cache = new Map() // content hash -> promise of decoded data; outlives a remount
const viewers = new WeakMap() // root element -> Viewer
const latest = new Map() // name of the component -> its last Viewer

export default function mount({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector('[data-testid="viewer"]')
  if (!root || !data) return undefined
  let viewer = viewers.get(root)
  if (!viewer) {
    viewer = new Viewer(root, latest.get(data.name))
    viewers.set(root, viewer)
    latest.set(data.name, viewer)
  }
  viewer.send = (view) => setStateValue("view", view)
  viewer.receive(data)
  // Streamlit also runs the cleanup of a call that a newer one overtook, so ask the page whether we are really gone.
  return () => setTimeout(() => root.isConnected || viewer.dispose(), 0)
}

// ---- decoding -------------------------------------------------------------------------------------------------------

function cached(hash, make) {
  const value = cache.get(hash) ?? make()
  cache.delete(hash)
  cache.set(hash, value)
  while (cache.size > CACHE_ENTRIES) cache.delete(cache.keys().next().value)
  value.catch(() => cache.delete(hash))
  return value
}

async function inflate(base64, length) {
  const text = atob(base64)
  const packed = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i)
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))
  const pixels = new Uint8Array(await new Response(stream).arrayBuffer())
  if (pixels.length !== length) throw new Error(`expected ${length} pixels, got ${pixels.length}`)
  return pixels
}

function decodePixels(packed, length) {
  return packed ? cached(packed.hash, () => inflate(packed.zlib, length)) : Promise.resolve(null)
}

function decodePhoto({ hash, src }, width, height) {
  return cached(`photo ${hash}`, async () => {
    const image = new Image()
    image.src = src
    await image.decode()
    const canvas = newCanvas(width, height)
    canvas.getContext("2d").drawImage(image, 0, 0, width, height)
    return canvas
  })
}

async function decodePanel(panel, width, height) {
  if (panel.status !== "ready") return { ...panel, labels: null, confidence: null }
  try {
    const [labels, confidence] = await Promise.all([
      decodePixels(panel.labels, width * height),
      decodePixels(panel.confidence, width * height),
    ])
    const hash = `${panel.labels.hash} ${panel.confidence?.hash}`
    return { ...panel, labels, confidence, hash, counts: countLabels(labels) }
  } catch (error) {
    return { ...panel, status: "failed", message: `This result could not be unpacked: ${error.message}.`, labels: null }
  }
}

function countLabels(labels) {
  const counts = new Uint32Array(256)
  for (let i = 0; i < labels.length; i++) counts[labels[i]]++
  return counts
}

// ---- painting -------------------------------------------------------------------------------------------------------

// A 256-entry table from label to one RGBA word. Void and hidden classes stay transparent; a highlight dims the rest.
function colourTable(classes, hidden, highlight, brighten) {
  const table = new Uint32Array(256)
  classes.forEach(({ colour }, id) => {
    if (hidden.has(id)) return
    const alpha = highlight === null || highlight === id ? 255 : 36
    const [r, g, b] = brighten ? colour.map((c) => c + (255 - c) * 0.35) : colour
    table[id] = ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0
  })
  return table
}

function fillMask(out, { labels }, table) {
  for (let i = 0; i < out.length; i++) out[i] = table[labels[i]]
}

// Full colour at full confidence, dark grey at none; squared, because almost every pixel of a good model is above 0.9.
function fillConfidence(out, { labels, confidence }, table) {
  const weight = Float32Array.from({ length: 256 }, (_, c) => (c / 255) ** 2)
  for (let i = 0; i < out.length; i++) {
    const word = table[labels[i]]
    const t = weight[confidence[i]]
    const base = UNSURE * (1 - t)
    const r = ((word & 255) * t + base) | 0
    const g = (((word >>> 8) & 255) * t + base) | 0
    const b = (((word >>> 16) & 255) * t + base) | 0
    out[i] = (word & 0xff000000) | (b << 16) | (g << 8) | r
  }
}

// Each side of a border in the colour of its own class; `reach` pixels thick on either side.
function fillEdges(out, { labels }, table, width, height) {
  const reach = Math.max(1, Math.round(width / 640))
  out.fill(0)
  for (let y = 0; y < height; y++) {
    const up = Math.max(0, y - reach) * width
    const down = Math.min(height - 1, y + reach) * width
    for (let x = 0, i = y * width; x < width; x++, i++) {
      const label = labels[i]
      const left = i - Math.min(x, reach)
      const right = i + Math.min(width - 1 - x, reach)
      if (labels[left] !== label || labels[right] !== label || labels[up + x] !== label || labels[down + x] !== label)
        out[i] = table[label]
    }
  }
}

function newCanvas(width, height) {
  const canvas = document.createElement("canvas")
  canvas.width = width
  canvas.height = height
  return canvas
}

// ---- small things ---------------------------------------------------------------------------------------------------

function h(tag, props = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, "")
    else if (value !== false && value != null) element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path")
  svg.setAttribute("viewBox", "0 0 16 16")
  svg.setAttribute("aria-hidden", "true")
  path.setAttribute("d", ICONS[name])
  svg.append(path)
  return svg
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value))
const rgb = (colour) => `rgb(${colour.join(" ")})`
const percent = (fraction) => `${Math.round(fraction * 100)} %`
const setText = (element, text) => element.textContent !== text && (element.textContent = text)

// ---- the viewer -----------------------------------------------------------------------------------------------------

class Viewer {
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

  // -- data --

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

  // -- what is there --

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

  // -- building: once --

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
  }

  radios(label, testid, choices, choose) {
    const inputs = {}
    const box = h("div", { class: "segments", role: "radiogroup", "aria-label": label })
    for (const [value, text, title] of choices) {
      const onchange = () => choose(value)
      inputs[value] = h("input", { type: "radio", name: testid, value, "data-testid": `${testid}-${value}`, onchange })
      box.append(h("label", { title }, inputs[value], h("span", {}, text)))
    }
    return { box, inputs }
  }

  buildStage(label) {
    const canvas = h("canvas", { role: "img" })
    const cross = h("div", { class: "cross", "aria-hidden": "true", hidden: true }, h("i"))
    const badge = h("span", { class: "badge", hidden: true })
    const props = { class: "stage", tabindex: 0, role: "application", "aria-label": label }
    const stage = h("div", props, canvas, cross, badge)
    const on = (name, act, options) => stage.addEventListener(name, (event) => act.call(this, event, stage), options)
    on("pointerdown", this.onDown)
    on("pointermove", this.onMove)
    on("pointerup", this.onUp)
    on("pointercancel", this.onCancel)
    on("pointerleave", () => this.point(null))
    on("dblclick", (event) => this.zoomAt(event.shiftKey ? 0.5 : 2, ...this.fraction(event, stage)))
    on("wheel", this.onWheel, { passive: false })
    on("keydown", this.onKey)
    this.resized?.observe(stage)
    return { stage, canvas, cross, badge }
  }

  buildSwipe() {
    const select = (side) => {
      const name = side === 0 ? "Left" : "Right"
      return h("select", {
        "aria-label": `${name} picture`,
        "data-testid": `viewer-swipe-${"ab"[side]}`,
        onchange: (event) => {
          const pair = this.pair()
          if (event.target.value === pair[1 - side]) pair.reverse()
          else pair[side] = event.target.value
          this.change({ swipe: pair })
        },
      })
    }
    const selects = [select(0), select(1)]
    const readouts = [h("span", { class: "readout" }), h("span", { class: "readout" })]
    const parts = this.buildStage("Swipe comparison. Arrow keys move the crosshair, plus and minus zoom.")
    const divider = h(
      "div",
      {
        class: "divider",
        role: "slider",
        tabindex: 0,
        "aria-orientation": "horizontal",
        "aria-valuemin": 0,
        "aria-valuemax": 100,
        "data-testid": "viewer-divider",
      },
      h("span", { class: "grip" }, icon("grip")),
    )
    const move = (event) => {
      const { left, width } = parts.stage.getBoundingClientRect()
      this.splitAt((event.clientX - left) / width)
    }
    divider.addEventListener("pointerdown", (event) => {
      if (event.button) return
      event.stopPropagation()
      divider.setPointerCapture(event.pointerId)
      divider.focus({ preventScroll: true })
    })
    divider.addEventListener("pointermove", (event) => {
      event.stopPropagation()
      if (divider.hasPointerCapture(event.pointerId)) move(event)
    })
    for (const name of ["pointerup", "dblclick"]) divider.addEventListener(name, (event) => event.stopPropagation())
    divider.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, PageDown: -0.1, PageUp: 0.1 }
      const split = { Home: 0, End: 1 }[event.key] ?? this.split + (steps[event.key] ?? NaN)
      event.stopPropagation()
      if (Number.isNaN(split)) return
      event.preventDefault()
      this.splitAt(split)
    })
    parts.stage.append(divider)
    const side = (i) => h("div", { class: "side" }, selects[i], readouts[i])
    const header = h("header", {}, side(0), side(1))
    const props = { class: "swipe", "data-testid": "viewer-swipe", "data-ready": "false" }
    const box = h("section", { ...props, "aria-label": "Swipe comparison" }, header, parts.stage)
    return { ...parts, box, selects, readouts, divider }
  }

  // -- showing: after each change of data --

  showPanels() {
    const wanted = new Set(this.panels.map((panel) => panel.key))
    for (const [key, tile] of this.tiles) {
      if (wanted.has(key)) continue
      this.resized?.unobserve(tile.stage)
      tile.box.remove()
      this.tiles.delete(key)
    }
    this.panels.forEach((panel, i) => {
      const tile = this.tiles.get(panel.key) ?? this.buildTile(panel.key)
      if (this.grid.children[i] !== tile.box) this.grid.insertBefore(tile.box, this.grid.children[i] ?? null)
      const ready = Boolean(panel.labels)
      setText(tile.title, panel.title)
      tile.title.title = panel.title
      setText(tile.caption, panel.caption)
      tile.canvas.setAttribute("aria-label", panel.alt)
      tile.stage.setAttribute("aria-label", `${panel.title}. Arrow keys move the crosshair, plus and minus zoom.`)
      tile.box.dataset.status = panel.status
      tile.box.setAttribute("aria-busy", String(panel.status === "waiting"))
      if (!ready) tile.box.dataset.ready = "false"
      tile.stage.hidden = !ready
      tile.note.hidden = ready
      const fallback = panel.status === "failed" ? "This model could not be run." : "Waiting …"
      setText(tile.noteText, ready ? "" : panel.message || fallback)
    })
    this.grid.dataset.count = this.panels.length
  }

  buildTile(key) {
    const parts = this.buildStage("")
    const title = h("h3", {})
    const readout = h("span", { class: "readout" })
    const caption = h("p", { class: "caption" })
    const noteText = h("p", {})
    const note = h("div", { class: "note" }, noteText)
    const props = { class: "panel", "data-testid": `viewer-panel-${key}`, "data-ready": "false" }
    const box = h("section", props, h("header", {}, title, readout), parts.stage, note, caption)
    const tile = { ...parts, box, title, readout, caption, note, noteText }
    this.tiles.set(key, tile)
    return tile
  }

  showLegend() {
    const { classes } = this.data
    const total = this.data.width * this.data.height
    const shown = this.panels.filter((panel) => panel.labels)
    const ids = classes.map((_, id) => id)
    const present = new Set(ids.filter((id) => shown.some((panel) => panel.counts[id])))
    const order = [...ids.filter((id) => present.has(id)), ...ids.filter((id) => !present.has(id))]
    const made = JSON.stringify([this.classHash, order, [...present], shown.map((panel) => [panel.title, panel.hash])])
    if (made === this.legendMade) return
    this.legendMade = made
    this.highlight = null
    this.chips = new Map(
      order.map((id) => {
        const { name, colour } = classes[id]
        const shares = shown.map((panel) => `${panel.title} ${((panel.counts[id] / total) * 100).toFixed(1)} %`)
        const props = {
          type: "button",
          class: present.has(id) ? "chip" : "chip absent",
          style: `--swatch: ${rgb(colour)}`,
          title: present.has(id) ? `Share of the photo: ${shares.join(", ")}` : "In none of these results",
          "data-testid": `viewer-legend-${name.replaceAll(" ", "-")}`,
          onclick: () => this.toggleClass(id),
          onpointerenter: (event) => event.pointerType !== "touch" && this.setHighlight(id),
          onpointerleave: () => this.setHighlight(null),
          onfocus: (event) => event.target.matches(":focus-visible") && this.setHighlight(id),
          onblur: () => this.setHighlight(null),
        }
        return [id, h("button", props, h("i", { "aria-hidden": "true" }), name)]
      }),
    )
    this.legend.replaceChildren(...this.chips.values())
    this.absent = order.length - present.size
    this.fold(false)
  }

  // Narrow places fold the absent classes away (viewer.css decides what is narrow).
  fold(open) {
    this.more.hidden = this.absent === 0
    this.more.setAttribute("aria-expanded", String(open))
    this.legendBox.toggleAttribute("data-more", open)
    setText(this.more, open ? "Fewer" : `+ ${this.absent} not seen here`)
  }

  showSwipeChoices() {
    const keys = [PHOTO, ...this.panels.filter((panel) => panel.labels).map((panel) => panel.key)]
    const made = JSON.stringify(keys.map((key) => [key, this.titleOf(key)]))
    if (made === this.choicesMade) return
    this.choicesMade = made
    for (const select of this.swipe.selects)
      select.replaceChildren(...keys.map((key) => h("option", { value: key }, this.titleOf(key))))
  }

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
  }

  // -- painting --

  redraw() {
    if (this.frame) return
    this.frame = requestAnimationFrame(() => {
      this.frame = 0
      if (this.photo) this.paint()
    })
  }

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
  }

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
  }

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
  }

  // -- classes --

  toggleClass(id) {
    const off = new Set(this.view.hidden)
    if (!off.delete(id)) off.add(id)
    this.highlight = null
    this.change({ hidden: [...off].sort((a, b) => a - b) })
  }

  hideAll(hide) {
    this.change({ hidden: hide ? this.data.classes.map((_, id) => id) : [] })
  }

  setHighlight(id) {
    const next = id !== null && !this.view.hidden.includes(id) ? id : null
    if (next === this.highlight) return
    this.highlight = next
    this.redraw()
  }

  // -- zoom, pan, swipe --

  // Zoom by a factor around a point of the picture given in fractions; factor 0 shows the whole photo.
  zoomAt(factor, fx = 0.5, fy = 0.5) {
    const { zoom, x, y } = this.lens
    let next = factor ? clamp(zoom * factor, 1, MAX_ZOOM) : 1
    if (next < 1.02) next = 1
    this.look(next, x + fx / zoom - fx / next, y + fy / zoom - fy / next)
  }

  look(zoom, x, y) {
    this.lens = { zoom, x: clamp(x, 0, 1 - 1 / zoom), y: clamp(y, 0, 1 - 1 / zoom) }
    this.showControls()
    this.redraw()
  }

  splitAt(fraction) {
    this.split = clamp(fraction, 0, 1)
    this.showControls()
    this.redraw()
  }

  // -- pointer and keyboard --

  fraction(event, stage) {
    const { left, top, width, height } = stage.getBoundingClientRect()
    return [(event.clientX - left) / width, (event.clientY - top) / height]
  }

  pixel(event, stage) {
    const [fx, fy] = this.fraction(event, stage)
    const { zoom, x, y } = this.lens
    const { width, height } = this.data
    return [
      clamp(Math.floor((x + fx / zoom) * width), 0, width - 1),
      clamp(Math.floor((y + fy / zoom) * height), 0, height - 1),
    ]
  }

  onDown(event, stage) {
    if (event.button) return
    stage.setPointerCapture(event.pointerId)
    if (this.pointers.size === 0) this.moved = false
    this.pointers.set(event.pointerId, { at: this.fraction(event, stage), start: [event.clientX, event.clientY] })
  }

  onMove(event, stage) {
    const pointer = this.pointers.get(event.pointerId)
    if (event.pointerType !== "touch" && !this.moved) this.point(this.pixel(event, stage))
    if (!pointer) return
    const [sx, sy] = pointer.start
    if (Math.hypot(event.clientX - sx, event.clientY - sy) > 4 && !this.moved) {
      this.moved = true
      pointer.at = this.fraction(event, stage)
    }
    if (!this.moved) return
    const before = this.spread()
    pointer.at = this.fraction(event, stage)
    const after = this.spread()
    const { zoom, x, y } = this.lens
    const next = clamp(zoom * (before.size && after.size ? after.size / before.size : 1), 1, MAX_ZOOM)
    if (next === 1 && zoom === 1) return
    stage.classList.add("dragging")
    this.point(null)
    this.look(next, x + before.mid[0] / zoom - after.mid[0] / next, y + before.mid[1] / zoom - after.mid[1] / next)
  }

  // Middle of the pointers that are down, and how far apart two of them are.
  spread() {
    const [a, b = a] = [...this.pointers.values()].map((pointer) => pointer.at)
    return { mid: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], size: Math.hypot(a[0] - b[0], a[1] - b[1]) }
  }

  onUp(event, stage) {
    const known = this.pointers.delete(event.pointerId)
    if (this.pointers.size) return
    stage.classList.remove("dragging")
    if (known && !this.moved) {
      this.pin = this.pixel(event, stage)
      this.showCross()
      this.announce()
    }
    this.moved = false
  }

  onCancel(event, stage) {
    this.pointers.delete(event.pointerId)
    this.moved = this.pointers.size > 0
    stage.classList.remove("dragging")
  }

  onWheel(event, stage) {
    if (!event.ctrlKey && !event.metaKey) return
    event.preventDefault()
    const pixels = event.deltaY * [1, 16, 400][event.deltaMode]
    this.zoomAt(Math.exp(-clamp(pixels, -120, 120) * 0.004), ...this.fraction(event, stage))
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const { width, height } = this.data
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
    const step = steps[event.key]
    const zoom = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, 0: 0 }[event.key]
    if (step) {
      const stride = event.shiftKey ? Math.max(10, Math.round(width / 40)) : 1
      const { x, y, zoom: z } = this.lens
      const from = this.pin ?? [Math.floor((x + 0.5 / z) * width), Math.floor((y + 0.5 / z) * height)]
      this.hover = null
      this.pin = [clamp(from[0] + step[0] * stride, 0, width - 1), clamp(from[1] + step[1] * stride, 0, height - 1)]
      this.keepInSight()
      this.showCross()
      this.announce()
    } else if (zoom !== undefined) this.zoomAt(zoom, ...this.focusPoint())
    else if (event.key === "Escape" && this.pin) {
      this.pin = null
      this.showCross()
    } else return
    event.preventDefault()
    event.stopPropagation()
  }

  // Where the keyboard zooms: at the crosshair, if there is one in sight.
  focusPoint() {
    const at = this.pin && this.place(this.pin)
    return at && at.every((f) => f >= 0 && f <= 1) ? at : [0.5, 0.5]
  }

  keepInSight() {
    const [fx, fy] = this.place(this.pin)
    const { zoom, x, y } = this.lens
    const push = (f) => (f < 0.05 ? f - 0.05 : f > 0.95 ? f - 0.95 : 0) / zoom
    if (zoom > 1) this.look(zoom, x + push(fx), y + push(fy))
  }

  // -- crosshair and readout --

  point(pixel) {
    if (!this.data || String(pixel) === String(this.hover)) return
    this.hover = pixel
    this.showCross()
  }

  // Where the middle of a pixel lies in every panel, as fractions of it.
  place([px, py]) {
    const { zoom, x, y } = this.lens
    return [((px + 0.5) / this.data.width - x) * zoom, ((py + 0.5) / this.data.height - y) * zoom]
  }

  read(key, [x, y]) {
    const panel = this.ready(key)
    if (!panel) return null
    const i = y * this.data.width + x
    const known = this.data.classes[panel.labels[i]]
    const name = known?.name ?? "void"
    const text = panel.confidence ? `${name} ${percent(panel.confidence[i] / 255)}` : name
    return { name, text, colour: known?.colour ?? [128, 128, 128] }
  }

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
  }

  showStatus(pixel) {
    if (!pixel) {
      const touch = matchMedia("(pointer: coarse)").matches
      const mouse = "Click a pixel to pin it · Ctrl + scroll or double-click to zoom · drag to move"
      setText(this.status, touch ? "Tap a pixel to read it · pinch to zoom" : mouse)
      return
    }
    setText(this.status, [this.coordinates(pixel), this.agreement(pixel)].filter(Boolean).join(" · "))
  }

  // In pixels of the photo that Python was given, whatever size it is shown at.
  coordinates([x, y]) {
    const { full, width, height } = this.data
    return `x ${Math.floor(((x + 0.5) * full[0]) / width)}, y ${Math.floor(((y + 0.5) * full[1]) / height)}`
  }

  agreement(pixel) {
    const names = this.panels.map((panel) => this.read(panel.key, pixel)?.name).filter(Boolean)
    if (names.length < 2) return ""
    const votes = (name) => names.filter((other) => other === name).length
    const ranked = [...new Set(names)].sort((a, b) => votes(b) - votes(a))
    if (ranked.length === 1) return `${names.length === 2 ? "both" : `all ${names.length}`} models say ${ranked[0]}`
    if (votes(ranked[0]) > votes(ranked[1])) return `${votes(ranked[0])} of ${names.length} models say ${ranked[0]}`
    return `the models are split: ${ranked.join(", ")}`
  }

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
  }
}
