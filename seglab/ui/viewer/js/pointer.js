// Mouse, touch and wheel: pin, drag, pinch, zoom.

import { clamp } from "./dom.js"
import { MAX_ZOOM } from "./zoom.js"

export const pointer = {
  fraction(event, stage) {
    const { left, top, width, height } = stage.getBoundingClientRect()
    return [(event.clientX - left) / width, (event.clientY - top) / height]
  },

  pixel(event, stage) {
    const [fx, fy] = this.fraction(event, stage)
    const { zoom, x, y } = this.lens
    const { width, height } = this.data
    return [
      clamp(Math.floor((x + fx / zoom) * width), 0, width - 1),
      clamp(Math.floor((y + fy / zoom) * height), 0, height - 1),
    ]
  },

  onDown(event, stage) {
    if (event.button) return
    stage.setPointerCapture(event.pointerId)
    if (this.pointers.size === 0) this.moved = false
    this.pointers.set(event.pointerId, { at: this.fraction(event, stage), start: [event.clientX, event.clientY] })
  },

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
  },

  // Middle of the pointers that are down, and how far apart two of them are.
  spread() {
    const [a, b = a] = [...this.pointers.values()].map((pointer) => pointer.at)
    return { mid: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], size: Math.hypot(a[0] - b[0], a[1] - b[1]) }
  },

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
  },

  onCancel(event, stage) {
    this.pointers.delete(event.pointerId)
    this.moved = this.pointers.size > 0
    stage.classList.remove("dragging")
  },

  onWheel(event, stage) {
    if (!event.ctrlKey && !event.metaKey) return
    event.preventDefault()
    const pixels = event.deltaY * [1, 16, 400][event.deltaMode]
    this.zoomAt(Math.exp(-clamp(pixels, -120, 120) * 0.004), ...this.fraction(event, stage))
  },
}
