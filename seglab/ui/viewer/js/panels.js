// A panel a model: picture, caption, or why there is none.

import { h, setText } from "./dom.js"

export const panels = {
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
  },

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
  },

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
  },
}
