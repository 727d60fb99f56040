// Classes as buttons: hide, show, highlight; absent ones fold away in narrow places.

import { h, rgb, setText } from "./dom.js"

export const legend = {
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
  },

  // Narrow places fold the absent classes away (viewer.css decides what is narrow).
  fold(open) {
    this.more.hidden = this.absent === 0
    this.more.setAttribute("aria-expanded", String(open))
    this.legendBox.toggleAttribute("data-more", open)
    setText(this.more, open ? "Fewer" : `+ ${this.absent} not seen here`)
  },

  toggleClass(id) {
    const off = new Set(this.view.hidden)
    if (!off.delete(id)) off.add(id)
    this.highlight = null
    this.change({ hidden: [...off].sort((a, b) => a - b) })
  },

  hideAll(hide) {
    this.change({ hidden: hide ? this.data.classes.map((_, id) => id) : [] })
  },

  setHighlight(id) {
    const next = id !== null && !this.view.hidden.includes(id) ? id : null
    if (next === this.highlight) return
    this.highlight = next
    this.redraw()
  },
}
