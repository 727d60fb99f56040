// Where the reader looks: zoom, pan, and where a pixel lies then.

import { clamp } from "./dom.js"

export const MAX_ZOOM = 16

export const zoom = {
  // Zoom by a factor around a point of the picture given in fractions; factor 0 shows the whole photo.
  zoomAt(factor, fx = 0.5, fy = 0.5) {
    const { zoom, x, y } = this.lens
    let next = factor ? clamp(zoom * factor, 1, MAX_ZOOM) : 1
    if (next < 1.02) next = 1
    this.look(next, x + fx / zoom - fx / next, y + fy / zoom - fy / next)
  },

  look(zoom, x, y) {
    this.lens = { zoom, x: clamp(x, 0, 1 - 1 / zoom), y: clamp(y, 0, 1 - 1 / zoom) }
    this.showControls()
    this.redraw()
  },

  // Where the middle of a pixel lies in every panel, as fractions of it.
  place([px, py]) {
    const { zoom, x, y } = this.lens
    return [((px + 0.5) / this.data.width - x) * zoom, ((py + 0.5) / this.data.height - y) * zoom]
  },

  // Where the keyboard zooms: at the crosshair, if there is one in sight.
  focusPoint() {
    const at = this.pin && this.place(this.pin)
    return at && at.every((f) => f >= 0 && f <= 1) ? at : [0.5, 0.5]
  },

  keepInSight() {
    const [fx, fy] = this.place(this.pin)
    const { zoom, x, y } = this.lens
    const push = (f) => (f < 0.05 ? f - 0.05 : f > 0.95 ? f - 0.95 : 0) / zoom
    if (zoom > 1) this.look(zoom, x + push(fx), y + push(fy))
  },
}
