// Keys on a picture: arrows move the crosshair, plus and minus zoom, Escape lets go.

import { clamp } from "./dom.js"

export const keyboard = {
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
  },
}
