// Two pictures under one divider.

import { clamp, h, icon } from "./dom.js"
import { PHOTO } from "./state.js"

export const swipe = {
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
  },

  showSwipeChoices() {
    const keys = [PHOTO, ...this.panels.filter((panel) => panel.labels).map((panel) => panel.key)]
    const made = JSON.stringify(keys.map((key) => [key, this.titleOf(key)]))
    if (made === this.choicesMade) return
    this.choicesMade = made
    for (const select of this.swipe.selects)
      select.replaceChildren(...keys.map((key) => h("option", { value: key }, this.titleOf(key))))
  },

  splitAt(fraction) {
    this.split = clamp(fraction, 0, 1)
    this.showControls()
    this.redraw()
  },
}
